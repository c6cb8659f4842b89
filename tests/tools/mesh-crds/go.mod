module serinus/tests/tools/crds

go 1.24.0

require (
	github.com/kedacore/keda/v2 v2.20.2
	github.com/projectcontour/contour v1.33.6
	github.com/prometheus-operator/prometheus-operator v0.85.0
	github.com/solo-io/gloo v1.22.1
	github.com/traefik/traefik/v3 v3.7.9
	istio.io/api v1.32.0
	knative.dev/serving v0.50.0
	sigs.k8s.io/gateway-api v1.4.1
)
