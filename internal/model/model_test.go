package model

import (
	"fmt"
	"reflect"
	"testing"
)

func TestQuick(t *testing.T) {
	rules := reflect.TypeFor[Rules]()
	for i := range rules.NumField() {
		for _, all := range []bool{false, true} {
			for _, p := range []Protocol{
				{Callers: 1, Calls: 1, Retries: 0, Inbox: 1, Closers: 1},
				{Callers: 1, Calls: 2, Retries: 1, Inbox: 1, Closers: 1},
				{Callers: 2, Calls: 1, Retries: 1, Inbox: 1, Closers: 2},
				{Callers: 2, Calls: 2, Retries: 0, Inbox: 1, Closers: 1},
				{Callers: 3, Calls: 1, Retries: 0, Inbox: 1, Closers: 2},
			} {
				if all && p.Callers == 3 {
					continue
				}
				p.AllOrders = all
				reflect.ValueOf(&p.Without).Elem().Field(i).SetBool(true)
				r := Explore(p, 5_000_000)
				if r.Violation != "" || p.Callers == 3 {
					fmt.Println(all, rules.Field(i).Name, p.Callers, p.Calls, p.Retries, p.Inbox, p.Closers, r.States, r.Visited, r.Steps, len(r.Trace), r.Violation)
					if !all {
						for _, l := range r.Trace {
							fmt.Println("   ", l)
						}
					}
					break
				}
			}
		}
	}
}
