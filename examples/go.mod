module github.com/loopstore/loopstore/examples

go 1.26.0

require (
	github.com/loopstore/loopstore v0.1.0
	github.com/loopstore/loopstore/store/journal/disk v0.1.0
	github.com/loopstore/loopstore/store/promstats v0.1.0
	github.com/prometheus/client_golang v1.25.0
	github.com/stretchr/testify v1.12.1
	go.uber.org/goleak v1.3.0
)

require go.yaml.in/yaml/v3 v3.0.5 // indirect

require (
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/go-json-experiment/json v1.27.2 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/prometheus/client_model v0.6.3 // indirect
	github.com/prometheus/common v0.72.0 // indirect
	github.com/prometheus/procfs v0.22.0 // indirect
	go.etcd.io/bbolt v1.5.0 // indirect
	golang.org/x/sync v0.24.0
	golang.org/x/sys v0.48.0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)

replace github.com/loopstore/loopstore => ..

replace github.com/loopstore/loopstore/store/journal/disk => ../store/journal/disk

replace github.com/loopstore/loopstore/store/promstats => ../store/promstats
