module serinus/tests/tools/crds

go 1.24.0

require (
	github.com/traefik/traefik/v3 v3.7.9
	sigs.k8s.io/gateway-api v1.4.1
)
