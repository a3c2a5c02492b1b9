package main

import "github.com/loopstore/loopstore/cmd/internal/demo"

const doctorHelp = `doctor checks servers that keep journals: the settings on which the promises of the
engines in store/journal/jetstream and store/journal/postgres depend. It changes
nothing on the servers, and shows no password.

It exits with 1 if something is RISK or BROKEN or the servers do not answer, with 2
for wrong flags or arguments, and otherwise with 0, even if something is UNKNOWN.

status:

    OK       as it should be
    UNKNOWN  it could not be checked
    RISK     acknowledged writes may be lost; the line below says how
    BROKEN   the engine cannot work

Without --system nobody can tell how often NATS servers sync: that is UNKNOWN.

--json prints one object:

    findings               each with status, setting, value, advice
    unknown, risk, broken  how many findings have that status
    ok                     whether all findings are OK`

var demoHelp = `demo drives agent runtimes through a cluster, as "loopstore demo" does through one
store, lets members and servers fail meanwhile, and checks that nothing acknowledged was
lost or doubled.

The members are those of package store/cluster. All run in this process,
each with its own connection to three NATS servers, which run here too and keep 12
partitions in a temporary directory. After two seconds the last member is killed:
its connection is closed, so that it hands nothing over. When the others have not
heard of it for a lease of two seconds, they take over its partitions. Then another
member takes its place. Two seconds later a server is stopped that leads the log of
one of these partitions. Callers continue, through the next member if theirs was
killed. A call that was not applied is made again. If the outcome is unknown, a
boundary commit looks for its receipt first. Any other write is simply made again:
applied twice it leaves the same state. In the end everything is checked through a
living member. demo also exits with 1 if it saw no take-over: a short --duration
leaves no time for one.

It exits with 1 if a call or a check failed or nothing was done, and with 2 for
wrong flags or arguments. Ctrl-C or SIGTERM ends the turns: what was done is
checked and reported, and if all is well demo exits with 130 or 143.

` + demo.Fields(clusterFields)

const clusterFields = `    cluster           members, servers, partitions; killed, the
                      member, and leader_stopped, the server, both empty if there
                      was no time; first_commit_ns, from the kill to the first
                      commit in a partition that was taken over, 0 if there was
                      none; calls_again, calls made more than once; outcome_unknown
                      (calls; commits that were found stored, or absent and made
                      again; other writes that were repeated); standings (moment,
                      at_ns, members: member, address, and the partitions that it
                      has claimed and those that are open)
`
