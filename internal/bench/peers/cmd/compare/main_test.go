package main

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

func TestSubjects(t *testing.T) {
	some := subjects(regexp.MustCompile("^(seed|mutex)$"))
	require.Len(t, some, 3)
	assert.Equal(t, "loop", some[0].Name)
	assert.NotNil(t, some[0].Reader)
	assert.Len(t, subjects(regexp.MustCompile("")), 7)
}

func TestRun(t *testing.T) {
	require.NoError(t, run(t.Context(), []string{"-rounds", "1", "-time", "1us", "-peers", "seed", "-only", "^hand_off|=load_runtime_state/callers=1$"}))
	require.Error(t, run(t.Context(), []string{"-only", "nothing is called so"}))
	require.Error(t, run(t.Context(), []string{"-only", "("}))
}
