// history: many clients on many gateways write and read some contended keys; every operation is
// recorded with its times and answers, and each key's history must be linearizable: as if all
// operations had happened one after the other, each at some moment between its sending and its
// answer. So a stale read, a lost update, two winners of one If-None-Match or a write that was
// accepted after its gateway had lost its lease are found, whoever saw them.
//
//	history -endpoints URL,URL -access A -secret S [-ops N] [-clients N] [-keys N] [-seed N]
//
// Prints "at N" as operations are done, so that whoever runs it can kill and pause gateways in
// between ("fault I" on standard input says that gateway I is in trouble from now on: its errors are
// unknown outcomes anyway; "well I": it is back). The last line is "ok ..." or "bad ...".
package main

import (
	"bufio"
	"flag"
	"fmt"
	"math"
	"os"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"
)

const bucket = "history"

var (
	endpoints = flag.String("endpoints", "", "URLs of the gateways, comma-separated")
	access    = flag.String("access", "", "access key")
	secret    = flag.String("secret", "", "secret key")
	ops       = flag.Int64("ops", 20000, "operations in all")
	clients   = flag.Int("clients", 32, "clients at once")
	keys      = flag.Int("keys", 24, "keys that they share")
	seed      = flag.Int64("seed", 1, "of all choices")
	slow      = flag.Int("slow", 12, "slow readers of large objects")
	report    = flag.String("report", "", "folder for pictures of histories that are not linearizable")
	checkTime = flag.Duration("check", 120*time.Second, "time to check one key")
)

// recorder keeps the operations of all keys.
type recorder struct {
	mu      sync.Mutex
	begun   time.Time
	byKey   map[string][]porcupine.Operation
	done    int64
	unknown int64
	broken  []string // what no order explains: wrong bytes, lost objects
	counts  map[string]int
}

func (r *recorder) now() int64 { return time.Since(r.begun).Nanoseconds() }

func (r *recorder) add(client int, in input, call int64, out output) {
	end := r.now()
	if out.unknown {
		end = math.MaxInt64 - 1
	}
	r.mu.Lock()
	r.byKey[in.key] = append(r.byKey[in.key], porcupine.Operation{
		ClientId: client, Input: in, Call: call, Output: out, Return: end})
	r.mu.Unlock()
	if out.unknown {
		atomic.AddInt64(&r.unknown, 1)
	}
	if n := atomic.AddInt64(&r.done, 1); n%500 == 0 {
		fmt.Printf("at %d\n", n)
	}
}

func (r *recorder) count(what string) {
	r.mu.Lock()
	r.counts[what]++
	r.mu.Unlock()
}

func (r *recorder) damage(format string, args ...interface{}) {
	r.mu.Lock()
	r.broken = append(r.broken, fmt.Sprintf(format, args...))
	r.mu.Unlock()
}

// check gives the keys whose histories no order explains, and those that took too long to tell.
func (r *recorder) check() (bad, undecided []string) {
	names := make([]string, 0, len(r.byKey))
	for name := range r.byKey {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		// A read whose answer is unknown says nothing.
		kept := r.byKey[name][:0]
		for _, op := range r.byKey[name] {
			if op.Input.(input).kind != opRead || !op.Output.(output).unknown {
				kept = append(kept, op)
			}
		}
		result, info := porcupine.CheckOperationsVerbose(model, kept, *checkTime)
		if result == porcupine.Illegal {
			bad = append(bad, name)
			if *report != "" {
				porcupine.VisualizePath(model, info, *report+"/"+strings.ReplaceAll(name, "/", "_")+".html")
			}
		} else if result == porcupine.Unknown {
			undecided = append(undecided, name)
		}
	}
	return bad, undecided
}

func main() {
	flag.Parse()
	w := newWorkload(strings.Split(*endpoints, ","))
	go func() {
		in := bufio.NewScanner(os.Stdin)
		for in.Scan() {
			var what string
			var which int
			if n, _ := fmt.Sscanf(in.Text(), "%s %d", &what, &which); n == 2 && which < len(w.troubled) {
				w.troubled[which].Store(what == "fault")
				if what == "fault" {
					w.troubles[which].Add(1)
				}
			}
		}
	}()
	w.run()
	w.readAll()
	bad, undecided := w.rec.check()
	counts := make([]string, 0, len(w.rec.counts))
	for name, n := range w.rec.counts {
		counts = append(counts, fmt.Sprintf("%s %d", name, n))
	}
	sort.Strings(counts)
	fmt.Printf("counts: %s\n", strings.Join(counts, ", "))
	for _, text := range w.rec.broken {
		fmt.Printf("broken: %s\n", text)
	}
	summary := fmt.Sprintf("%d operations on %d keys, %d unknown, seed %d", w.rec.done, len(w.rec.byKey),
		w.rec.unknown, *seed)
	if len(bad) > 0 || len(w.rec.broken) > 0 || len(undecided) > 0 {
		fmt.Printf("bad not linearizable: %v, broken: %d, undecided: %v; %s\n", bad, len(w.rec.broken), undecided,
			summary)
		os.Exit(1)
	}
	fmt.Printf("ok %s\n", summary)
}
