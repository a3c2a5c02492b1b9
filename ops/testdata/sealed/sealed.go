// Package sealed tries to make an operation of its own. It must not compile.
package sealed

import (
	"context"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
)

type embedsRequest struct{ ops.LoadRuntimeState }

func (*embedsRequest) Prepare() error             { return nil }
func (*embedsRequest) Apply(*state.State) error   { return nil }
func (*embedsRequest) Answer() (_ ops.Found[int]) { return }

type embedsInterface struct{ ops.Request[ops.None] }

func run(ctx context.Context, l *loopstore.Loop) {
	_, _ = loopstore.Do(ctx, l, embedsRequest{})
}
