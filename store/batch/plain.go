package batch

import (
	"reflect"
	"slices"
)

// PlainConditions returns conditions with what the pointers among them point to, in their
// place.
func PlainConditions(conditions []Condition) []Condition { return plain(conditions) }

// Plain returns a batch with what the pointers among its conditions and writes point to,
// in their place. It is b itself if there are none.
func (b Batch) Plain() Batch {
	return Batch{If: plain(b.If), Then: plain(b.Then)}
}

func plain[T any](all []T) []T {
	copied := false
	for i, x := range all {
		v := reflect.ValueOf(x)
		if v.Kind() != reflect.Pointer || v.IsNil() {
			continue
		}
		if value, ok := v.Elem().Interface().(T); ok {
			if !copied {
				all, copied = slices.Clone(all), true
			}
			all[i] = value
		}
	}
	return all
}
