//go:build !race

package storetest_test

const onlyOneChapter = false
