package demo

// Fields says what the JSON of a report is, for the help of a command: the fields of all
// reports, and lines for those that only one has.
func Fields(own string) string { return firstFields + own + lastFields }

const firstFields = `--json prints one object. Durations are in nanoseconds:

    runtimes          how many there were
    callers           goroutines that called the store
    gomaxprocs        how many of them could run at once
    elapsed_ns        of the workload, without the checks
    interrupted       by Ctrl-C or SIGTERM
    turns             of all runtimes together, in this process
    snapshot_bytes    of all boundary commits together
    heap_bytes        live after the workload: the store, and the copies to check it
    operations        those that were called, each with operation, count,
                      per_second, p50_ns, p99_ns, max_ns
`

const lastFields = `    verified          the checks, each with check, checked, failed
    check_elapsed_ns  of the checks
    not_canonical     files whose digests package session computed
    errors            of calls, or that nothing was done
    failures          of checks, the first ten
    ok                whether there are neither errors nor failures`
