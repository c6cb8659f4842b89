module github.com/ncabatoff/process-exporter

go 1.22
