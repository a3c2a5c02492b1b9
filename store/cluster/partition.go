package cluster

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/loopstore/loopstore/store"
)

// MaxPartitions is how many partitions a cluster may have at most.
const MaxPartitions = 4096

// PartitionOf returns the partition of a runtime, from 0 to partitions-1: the
// first 8 bytes of the SHA-256 of the id, as a big-endian number, modulo the
// count. No version will change that. PartitionOf panics if partitions is not
// positive.
func PartitionOf(id store.RuntimeID, partitions int) int {
	if partitions <= 0 {
		panic("cluster: PartitionOf without partitions")
	}
	sum := sha256.Sum256([]byte(id))
	return int(binary.BigEndian.Uint64(sum[:8]) % uint64(partitions))
}

// PartitionName returns the name of a cluster's partition in the journal engine.
func PartitionName(cluster string, partition int) string {
	return fmt.Sprintf("%s/%d", cluster, partition)
}
