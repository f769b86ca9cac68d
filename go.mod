module github.com/vigil-go/vigil

go 1.26.0

require (
	github.com/anishathalye/porcupine v1.3.1
	github.com/cornelk/hashmap v1.0.8
	github.com/maypok86/otter/v2 v2.4.0
	github.com/stretchr/testify v1.12.1
	go.etcd.io/bbolt v1.5.0
	go.uber.org/goleak v1.3.0
	golang.org/x/sys v0.49.0
)

require go.yaml.in/yaml/v3 v3.0.5 // indirect
