package inspect

import (
	"net/http"
	"time"

	"github.com/loopstore/loopstore"
)

// Sampled returns a history that ends now, of samples that were five seconds apart. A nil
// one was not taken.
func Sampled(all []*loopstore.Stats) *History {
	h, start := new(History), time.Now().Add(-interval*time.Duration(len(all)-1))
	h.origin = start
	for i, s := range all {
		if s != nil {
			h.samples = append(h.samples, sampleOf(start.Add(interval*time.Duration(i)), *s))
		}
	}
	return h
}

// Len is how many samples a history keeps.
func (h *History) Len() int { return len(h.samples) }

// Visited is how many partitions a ClusterHandler has handlers of.
func Visited(h http.Handler) int { return len(h.(*crew).open) }

// Made is how many answers are kept for those who follow the list.
func Made(h http.Handler) int { return len(h.(*handler).hub.current().made) }
