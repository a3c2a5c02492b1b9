//go:build unix

package inspect_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/storetest"
)

func TestLook(t *testing.T) {
	b := openBrowser(t)
	loop := storetest.New(t, loopstore.Options{Retention: store.Retention{Sessions: store.Keep{Last: 100}}})
	files, _ := filepath.Glob("../../cmd/internal/demo/conversations/*.json")
	for _, f := range files {
		text, err := os.ReadFile(f)
		require.NoError(t, err)
		_, err = loop.CommitSessionBoundary(t.Context(), store.RuntimeID(filepath.Base(f)), store.BoundaryCommit{
			Session: store.SessionDelta{SessionSnapshot: text}, RunID: store.NewRunID(), Boundary: store.RunStart})
		require.NoError(t, err)
	}
	at := serve(t, loop)
	for _, f := range files {
		b.visit(at + "transcript?id=" + url.QueryEscape(filepath.Base(f)))
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int{320, 1200} {
				b.look(width, scheme)
				b.picture(fmt.Sprintf("t-%s-%s-%d", filepath.Base(f), scheme, width), width)
			}
		}
	}
	b.noFaults()
}
