// Package inspect shows what a loop holds as web pages: whether anything is stuck, the
// runtimes, each with its inputs, its receipts, its conversation and a time line, and the
// statistics.
//
//	mux.Handle("/loopstore/", http.StripPrefix("/loopstore", inspect.Handler(loop, inspect.Options{})))
//
// The pages are for people, and may change with any version. So may their JSON, but
// what stays has the name and the meaning that it had.
//
// # Who sees it
//
// Whoever reaches the handler sees all ids, keys, reasons, states, digests and
// sizes, and with Options.Payloads the inputs and snapshots too. There is no login:
// put the handler behind yours, or let it listen on a loopback address. Even there
// a page of another site could read it, through a host name that it points there:
// check the Host header if that matters.
//
// # What it does
//
// It only reads, but for Actions: any method but GET and HEAD is refused. It asks the loop
// for views and images, which cost the owner the same however much it holds. Nothing
// that a store holds can become markup or script: it is escaped, and the content security
// policy allows the page's own style and script alone. Nothing is loaded from elsewhere.
//
// # Conversations
//
// With Options.Payloads a session is read as a conversation: who said what, each call of a
// tool with its result beside it, reasoning folded, what it took in tokens. That works for
// Meerkat's documents, and for JSON, a message a line or in an array, in the shapes that
// OpenAI's, Anthropic's and Google's interfaces have, eino's messages, the lines of package
// eventlog and of examples/chat, and what is like these. A message that is not understood is
// shown as it stands, and so is a text that is no conversation. Images are named and never loaded.
// Pages have a measure: a long text is cut, and leads to more of it. Of a text of 64 MB and
// more (lines: 256 MB) only the beginning is shown, unread.
//
// If a retention keeps versions of sessions, a page says what changed from one to another,
// by messages and by their lines. Versions, runs and receipts lead there.
//
// # Time line
//
// The time line of a runtime has its inputs from when they were accepted to their end, and
// its runs. What waits longest comes first. Its parts are links, which lead closer. It is
// made of the times that the store was given: those of inputs and their histories, of the
// ids of runs where these have one, and of versions of the session that are kept, to the
// second. A receipt has no other time. A run is under way as long as the input with which it
// began, unless that went on to another.
//
// # JSON
//
// Every page is JSON, too: for a request that accepts application/json and not
// text/html as much, or whose path ends in .json. The list is at runtimes.json. It says
// what the page shows, and of a list one page; docs/operating.md has the fields.
// A problem is an object with error, detail and status. Payloads and snapshots are
// files in either case.
//
// # Statistics
//
// The statistics say first, in words, whether all is well, and show the last ten minutes
// as pictures. A loop keeps no history, so a [History] does: Record fills it for as long
// as its context lives, and without one it is filled while somebody has the page open,
// by one sample every five seconds however many look. A time without samples is a gap.
// None of it asks the owner for anything.
//
// # A cluster
//
// [ClusterHandler] shows a cluster as one of its members sees it, with the pages of each
// partition that the member holds. The members do not ask each other, so how much
// another holds is shown there: Options.Members says where.
//
//	pages := inspect.ClusterHandler(node, inspect.Options{Members: func(m cluster.Member) string {
//		return "http://" + m.Address + "/loopstore/"
//	}})
//
// # Actions
//
// With Options.Actions people can delete and prune a runtime, requeue and abandon an
// input, and compact the journal. A page says what would be done and what would go. Its
// form does it, and then only if the runtime, or the input, is still at the version that
// the page showed. A prune looks at the version before it begins, not in one step with
// it: it may remove more than was shown, but never what the form says to keep.
//
// A form is good for one action on one thing at one version by one user, until the
// program ends. A request that a page of another site has sent is refused, and so is one
// by a host name that Actions.Hosts does not list. Whoever else reaches the handler can do
// all of it, unless Actions.Who refuses: to let some only look, give them another handler
// without Actions. Every action is logged, with who did it, and so is every one that was
// refused.
//
// # Live pages
//
// In a browser with JavaScript the list of runtimes and the pages of one follow the store,
// by server-sent events. Nothing else needs JavaScript. A stream ends when its client goes
// or does not read, the loop is closed or the request's context ends, and leaves no
// goroutine behind; a server's timeouts do not end it. A ResponseWriter that cannot flush
// is an error before it begins: whatever wraps one needs Flush, or Unwrap.
//
// However many pages are live, the owner is asked nothing while nothing changes, and for
// one view of each runtime that has changed, at most twice a second in the list. The first
// live list begins the feed of changes: see loopstore.Options.Deletions. A list that is not
// live takes one image of the store each time.
//
// http.Server.Shutdown does not end streams, it waits for them: close the loop
// first, or cancel the context that the server's BaseContext returns.
package inspect
