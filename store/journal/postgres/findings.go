package postgres

import (
	"fmt"
	"strings"

	"github.com/loopstore/loopstore/store/journal"
)

func (l *look) pool() journal.Finding {
	f := journal.Finding{Setting: "pool", Value: "made by NewPool", Advice: "one made by NewPool, or nothing can be opened"}
	switch {
	case l.session == nil:
		f.Status, f.Value = journal.Broken, "not made by NewPool"
	case l.session.pooled:
		f.Value += ", behind a pooler"
	}
	return f
}

// schema judges the schema as Open would.
func (l *look) schema(schema string) journal.Finding {
	f := journal.Finding{Setting: "schema", Advice: "one that Open takes"}
	err := checkName(schema)
	switch {
	case err != nil:
	case len(l.standing.tables) == 0:
		f.Value = "not there yet"
		err = l.standing.checkMissing(schema)
	case !l.standing.mayUse:
		err = l.standing.lacks("use the schema")
	default:
		f.Value = mega(l.bytes)
		err = l.standing.checkTables()
	}
	if err != nil {
		f.Status, f.Value = journal.Broken, err.Error()
	}
	return f
}

func mega(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }

// Below so many bytes it does not matter how much of them is of no use.
const muchWaste = 1 << 30

// dead says how much of the tables was replaced and is still there, as the server
// counts it.
func (l *look) dead() journal.Finding {
	f := journal.Finding{Setting: "replaced rows", Advice: "if it stays so, find out what keeps autovacuum from removing them: see what follows, " +
		"or make autovacuum faster (autovacuum_naptime, autovacuum_vacuum_cost_limit)"}
	switch all := l.rows + l.deadRows; {
	case l.settings["track_counts"] != "on":
		f.Status, f.Advice = journal.Unknown, "turn on track_counts: the server does not count them"
	case all == 0:
		f.Value = "none"
	default:
		f.Value = fmt.Sprintf("%d of %d, in %s", l.deadRows, all, mega(l.bytes))
		if l.bytes > muchWaste && l.deadRows > all/4*3 {
			f.Status = journal.Risk
		}
	}
	return f
}

// synchronous says whether there is somebody that commits wait for.
func (l *look) synchronous() journal.Finding {
	f := journal.Finding{Setting: "synchronous standbys", Value: fmt.Sprint(l.standbys, " connected"), Advice: "connect one, or every append waits without end"}
	switch {
	case l.standbys > 1:
	case l.standbys == 1:
		f.Value += ": if it hangs, every append waits. Two of which one must answer avoid that: ANY 1 (a, b)"
	case !l.seesAll:
		f.Status, f.Value, f.Advice = journal.Unknown, "", "grant pg_monitor to this role: it may not see them"
	default:
		f.Status = journal.Broken
	}
	return f
}

const slower = "while it is there, replaced rows cannot be removed: the tables grow, and every append becomes slower, soon many times"

// oldest names transactions that have been open for more than a minute.
func (l *look) oldest() journal.Finding {
	f := kept("long transactions", l.old, "end it (pg_terminate_backend), and find out who leaves it open: "+slower)
	if len(l.old) == 0 && !l.seesAll {
		f.Status, f.Value, f.Advice = journal.Unknown, "", "grant pg_monitor to this role: it may not see those of other roles"
	}
	return f
}

func (l *look) prepared() journal.Finding {
	return kept("prepared transactions", l.prepares, "commit it or roll it back (rollback prepared): "+slower)
}

func (l *look) slots() journal.Finding {
	return kept("replication slots", l.slotsThere, "let its reader catch up, or drop it (pg_drop_replication_slot): the server keeps its log for it until the disk is full, and rows too if it has an xmin")
}

// kept is a finding of what should not be there.
func kept(setting string, there []string, advice string) journal.Finding {
	f := journal.Finding{Setting: setting, Value: "none", Advice: advice}
	if len(there) > 0 {
		f.Status, f.Value = journal.Risk, strings.Join(there, "; ")
	}
	return f
}
