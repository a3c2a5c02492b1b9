// Package inspect shows what a loop holds as web pages: its runtimes, each with
// its inputs and receipts, and its statistics.
//
//	mux.Handle("/loopstore/", http.StripPrefix("/loopstore", inspect.Handler(loop, inspect.Options{})))
//
// The pages are for people, and may change with any version.
//
// # Who sees it
//
// Whoever reaches the handler sees all ids, keys, reasons, states, digests and
// sizes, and, if Options.Payloads says so, what the inputs and snapshots say.
// There is no login: put it behind yours, or let it listen on a loopback address.
// On one of those a page of another site could still read it, by a host name that
// it makes point there: check the Host header if that matters.
//
// # What it does
//
// It reads, and nothing else: any method but GET and HEAD is refused. It asks the
// loop for views, and for its list by pages, so it holds up nobody for longer
// than one of these takes. Nothing of a store can become markup or script: it is
// escaped, and a content security policy allows the page's own style and script
// alone. Nothing is loaded from elsewhere.
//
// # Live pages
//
// The pages of a runtime follow it, by server-sent events, in a browser with
// JavaScript. That is all that needs it. No goroutine stays behind a stream. One
// ends when its client goes, the loop is closed or the request's context ends.
// http.Server.Shutdown ends no stream and waits for them: close the loop before,
// or let the server's BaseContext be one that is cancelled before.
package inspect
