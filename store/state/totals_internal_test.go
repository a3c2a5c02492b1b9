package state

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
)

// Every figure of Totals is added and taken away, also one that is added later.
func TestTotalsHaveEveryFigure(t *testing.T) {
	var one store.Totals
	v := reflect.ValueOf(&one).Elem()
	for i := range v.NumField() {
		v.Field(i).SetInt(int64(i + 1))
	}
	require.Equal(t, one, minus(one.Plus(one), one))
	require.Zero(t, minus(one, one))
}
