//go:build race

package storetest_test

// The race detector makes the suite several times as slow, and there are many
// canaries: each is tried in the chapter that it must fail in.
const onlyOneChapter = true
