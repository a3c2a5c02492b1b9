// Package inspect shows what a loop holds as web pages: its runtimes, each with its
// inputs, its receipts and the versions of its session that are kept, and its statistics.
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
// It only reads, but for Actions: any method but GET and HEAD is refused. It asks the loop for views,
// and for the list of runtimes page by page, so it delays other callers no longer
// than one of these takes. Nothing that a store holds can become markup or script:
// it is escaped, and the content security policy allows the page's own style and
// script alone. Nothing is loaded from elsewhere.
//
// # JSON
//
// Every page is JSON, too: for a request that accepts application/json and not
// text/html as much, or whose path ends in .json. The list is at runtimes.json. It says
// what the page shows, and of a list one page; docs/operating.md has the fields.
// A problem is an object with error, detail and status. Payloads and snapshots are
// files in either case.
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
// In a browser with JavaScript the pages of a runtime follow it, by server-sent
// events. Nothing else needs JavaScript. A stream ends when its client goes, the
// loop is closed or the request's context ends, and leaves no goroutine behind.
// http.Server.Shutdown does not end streams, it waits for them: close the loop
// first, or cancel the context that the server's BaseContext returns.
package inspect
