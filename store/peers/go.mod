module github.com/loopstore/loopstore/store/peers

go 1.26.0

require github.com/loopstore/loopstore v0.0.0

require (
	github.com/go-json-experiment/json v1.27.2 // indirect
	github.com/google/uuid v1.6.0 // indirect
)

replace github.com/loopstore/loopstore => ../..
