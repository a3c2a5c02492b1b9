package ops

// A Kind tells the operations apart.
type Kind uint8

// The operations.
const (
	KindCommitSessionBoundary Kind = iota
	KindAtomicApply
	KindLoadInputStates
	KindLoadInputState
	KindLoadBoundaryReceipt
	KindLoadSessionSnapshot
	KindLoadRuntimeState
	KindPersistInputState
	KindPersistRuntimeState
	KindAtomicLifecycleCommit
	KindCommit
	KindLoadSession
	KindLoadSessionAt
	KindFork
	KindLoadView
	KindLoadInput
	KindDeleteRuntime
	KindPrune
	KindExpire
	KindListRuntimes
	KindLoadImage
	KindLoadChanges
	KindClaimNext
	KindBeginImport
	KindStorePiece
	KindImport
	NumKinds // how many there are
)

// The facts about each kind. A long one may keep the owner for a while.
var kinds = [NumKinds]struct {
	name           string
	readOnly, long bool
}{
	KindCommitSessionBoundary: {name: "commit_session_boundary"},
	KindAtomicApply:           {name: "atomic_apply"},
	KindLoadInputStates:       {name: "load_input_states", readOnly: true},
	KindLoadInputState:        {name: "load_input_state", readOnly: true},
	KindLoadBoundaryReceipt:   {name: "load_boundary_receipt", readOnly: true},
	KindLoadSessionSnapshot:   {name: "load_session_snapshot", readOnly: true},
	KindLoadRuntimeState:      {name: "load_runtime_state", readOnly: true},
	KindPersistInputState:     {name: "persist_input_state"},
	KindPersistRuntimeState:   {name: "persist_runtime_state"},
	KindAtomicLifecycleCommit: {name: "atomic_lifecycle_commit"},
	KindCommit:                {name: "commit", long: true},
	KindLoadSession:           {name: "load_session", readOnly: true},
	KindLoadSessionAt:         {name: "load_session_at", readOnly: true},
	KindFork:                  {name: "fork"},
	KindLoadView:              {name: "load_view", readOnly: true},
	KindLoadInput:             {name: "load_input", readOnly: true},
	KindDeleteRuntime:         {name: "delete_runtime", long: true},
	KindPrune:                 {name: "prune", long: true},
	KindExpire:                {name: "expire", long: true},
	KindListRuntimes:          {name: "list_runtimes", readOnly: true, long: true},
	KindLoadImage:             {name: "load_image", readOnly: true, long: true},
	KindLoadChanges:           {name: "load_changes", readOnly: true},
	KindClaimNext:             {name: "claim_next"},
	KindBeginImport:           {name: "begin_import"},
	KindStorePiece:            {name: "store_piece"},
	KindImport:                {name: "import", long: true},
}

// kindOf returns the kind of a request type.
func kindOf[O any]() Kind {
	switch any((*O)(nil)).(type) {
	case *CommitSessionBoundary:
		return KindCommitSessionBoundary
	case *AtomicApply:
		return KindAtomicApply
	case *LoadInputStates:
		return KindLoadInputStates
	case *LoadInputState:
		return KindLoadInputState
	case *LoadBoundaryReceipt:
		return KindLoadBoundaryReceipt
	case *LoadSessionSnapshot:
		return KindLoadSessionSnapshot
	case *LoadRuntimeState:
		return KindLoadRuntimeState
	case *PersistInputState:
		return KindPersistInputState
	case *PersistRuntimeState:
		return KindPersistRuntimeState
	case *AtomicLifecycleCommit:
		return KindAtomicLifecycleCommit
	case *Commit:
		return KindCommit
	case *LoadSession:
		return KindLoadSession
	case *LoadSessionAt:
		return KindLoadSessionAt
	case *Fork:
		return KindFork
	case *LoadView:
		return KindLoadView
	case *LoadInput:
		return KindLoadInput
	case *DeleteRuntime:
		return KindDeleteRuntime
	case *Prune:
		return KindPrune
	case *Expire:
		return KindExpire
	case *ListRuntimes:
		return KindListRuntimes
	case *LoadImage:
		return KindLoadImage
	case *LoadChanges:
		return KindLoadChanges
	case *ClaimNext:
		return KindClaimNext
	case *BeginImport:
		return KindBeginImport
	case *StorePiece:
		return KindStorePiece
	case *Import:
		return KindImport
	}
	panic("ops: a request without a kind")
}

// ReadOnly reports whether the operation only looks at the state.
func (k Kind) ReadOnly() bool { return k < NumKinds && kinds[k].readOnly }

// Long reports whether the operation may keep the owner for a while.
func (k Kind) Long() bool { return k < NumKinds && kinds[k].long }

// String returns the operation's name, as Meerkat spells it where it has it.
func (k Kind) String() string {
	if k < NumKinds {
		return kinds[k].name
	}
	return "unknown operation"
}

// MarshalText returns the operation's name.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
