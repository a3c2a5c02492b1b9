package jetstream

import (
	js "github.com/nats-io/nats.go/jetstream"

	"github.com/loopstore/loopstore/store/journal"
)

// bucketConfig is the configuration of a new bucket.
func (e *Engine) bucketConfig() js.KeyValueConfig {
	return js.KeyValueConfig{
		Bucket: e.bucketName(), Description: "loopstore directories", Replicas: e.options.Replicas, History: 1,
	}
}

// bucketStream returns the name of the stream that keeps the bucket.
func (e *Engine) bucketStream() string { return "KV_" + e.bucketName() }

// judgeBucket checks the bucket of the directories, and returns what is not as it should
// be. A broken setting can lose or refuse documents.
func (e *Engine) judgeBucket(info *streamInfo) []journal.Finding {
	w := wanted{StreamConfig: js.StreamConfig{
		Name: e.bucketStream(), Subjects: []string{"$KV." + e.bucketName() + ".>"}, Replicas: e.options.Replicas,
	}, payload: e.conn.MaxPayload()}
	return judgeSettings(info, w, bucketSettings)
}
