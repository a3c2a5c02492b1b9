package demo

// Fields says what the JSON of a report is, for the help of a command.
const Fields = `--json prints one object. Durations are in nanoseconds:

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
    journal           only with --journal: found (runtimes; in_turn, those in the
                      middle of a turn; receipts, inputs), appends, operations (the
                      writes of the workload), operations_per_append, bytes of all
                      appends, append_ns on average
    cluster           only of loopstore-servers: members, servers, partitions; killed, the
                      member, and leader_stopped, the server, both empty if there
                      was no time; first_commit_ns, from the kill to the first
                      commit in a partition that was taken over, 0 if there was
                      none; calls_again, calls made more than once; outcome_unknown
                      (calls; commits that were found stored, or absent and made
                      again; other writes that were repeated); standings (moment,
                      at_ns, members: member, address, and the partitions that it
                      has claimed and those that are open)
    verified          the checks, each with check, checked, failed
    check_elapsed_ns  of the checks
    not_canonical     files whose digests package session computed
    errors            of calls, or that nothing was done
    failures          of checks, the first ten
    ok                whether there are neither errors nor failures`
