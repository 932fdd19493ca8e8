package main

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"
)

const (
	clientTimeout = 10 * time.Second
	slowPause     = 80 * time.Millisecond // a block; a download takes longer than epochs do
	slowPad       = 12 << 20              // more than fits into the buffers of a connection
	slowBlock     = 128 << 10
	slowKeys      = 3
)

type workload struct {
	rec      *recorder
	gateways []*s3
	patient  []*s3          // for slow readers
	troubled []atomic.Bool  // killed or paused just now
	troubles []atomic.Int64 // how often that was
	next     int64          // names of versions
	stop     atomic.Bool
	mu       sync.Mutex
	seen     map[string]seen // what a client saw last of a key, for conditions that may hold
}

type seen struct {
	etag string
	size int // of the text
}

func newWorkload(urls []string) *workload {
	w := &workload{rec: &recorder{begun: time.Now(), byKey: map[string][]porcupine.Operation{}, counts: map[string]int{}},
		seen: map[string]seen{}, troubled: make([]atomic.Bool, len(urls)),
		troubles: make([]atomic.Int64, len(urls))}
	for _, u := range urls {
		w.gateways = append(w.gateways, newS3(u, *access, *secret, clientTimeout))
		w.patient = append(w.patient, newS3(u, *access, *secret, 120*time.Second))
	}
	return w
}

// Keys of three kinds: small, large (slices), and slow ones (large, read slowly, only put).
func keyName(i int) (string, int) {
	if i%3 == 0 {
		return fmt.Sprintf("large/%02d", i), padSize
	}
	return fmt.Sprintf("small/%02d", i), 0
}

func path(key string) string { return "/" + bucket + "/" + key }

func (w *workload) look(key string) seen {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen[key]
}

func (w *workload) saw(key, etag string, size int) {
	w.mu.Lock()
	w.seen[key] = seen{etag, size}
	w.mu.Unlock()
}

// outcome of a write, as the model takes it.
func outcome(a answer) output {
	if a.err != nil || a.status >= 500 {
		return output{unknown: true}
	}
	return output{status: a.status, etag: a.etag}
}

func (w *workload) write(client int, g *s3, in input, pad int) {
	headers := map[string]string{}
	method, body := "PUT", []byte(nil)
	if in.ifAbsent {
		headers["If-None-Match"] = "*"
	}
	if in.ifMatch != "" {
		headers["If-Match"] = `"` + in.ifMatch + `"`
	}
	head := slotCount * slotSize
	switch in.kind {
	case opPut:
		body = encode(in.content, pad)
		sum := md5.Sum(body)
		in.etag = hex.EncodeToString(sum[:])
	case opDelete:
		method = "DELETE"
	case opAppend:
		headers["x-amz-write-offset-bytes"] = strconv.Itoa(in.offset + pad)
		body = []byte(in.content)
	case opPatch:
		method = "PATCH"
		at := in.slot * slotSize
		if at >= head {
			at += pad
		}
		headers["Content-Range"] = fmt.Sprintf("bytes %d-%d/*", at, at+slotSize-1)
		body = []byte(in.content)
	}
	in.description = fmt.Sprintf("%s %s %v %s", method, in.key, headers, short(in.content))
	call := w.rec.now()
	a := g.request(method, path(in.key), nil, headers, body, nil)
	out := outcome(a)
	w.rec.add(client, in, call, out)
	w.rec.count(fmt.Sprintf("%s %d", [...]string{"put", "delete", "", "append", "patch"}[in.kind], a.status))
	if !out.unknown && out.status == 200 && in.kind == opPut {
		w.saw(in.key, out.etag, len(in.content))
	}
	if !out.unknown && out.status == 200 && in.kind == opAppend {
		w.saw(in.key, out.etag, in.offset+len(in.content))
	}
}

func (w *workload) read(client, gateway int, key string, pad int) {
	in := input{kind: opRead, key: key, description: "GET " + key}
	troubled, troubles := w.troubled[gateway].Load(), w.troubles[gateway].Load()
	call := w.rec.now()
	a := w.gateways[gateway].request("GET", path(key), nil, nil, nil, nil)
	out := outcome(a)
	if !out.unknown && out.status == 200 {
		text, whole := decode(a.body, pad)
		if !whole {
			w.rec.damage("%s: bytes of several versions: %s", key, short(text))
		}
		out.content = text
		w.saw(key, out.etag, len(text))
	}
	if a.status == 500 && !troubled && troubles == w.troubles[gateway].Load() {
		w.rec.damage("%s: 500 %s", key, short(string(a.body)))
	}
	w.rec.add(client, in, call, out)
	w.rec.count(fmt.Sprintf("get %d", a.status))
}

func (w *workload) head(client int, g *s3, key string) {
	in := input{kind: opRead, key: key, onlyETag: true, description: "HEAD " + key}
	call := w.rec.now()
	a := g.request("HEAD", path(key), nil, nil, nil, nil)
	w.rec.add(client, in, call, outcome(a))
	w.rec.count(fmt.Sprintf("head %d", a.status))
}

// list reads all keys at once: one read of each of them.
func (w *workload) list(client int, g *s3) {
	call := w.rec.now()
	a := g.request("GET", "/"+bucket, url.Values{"list-type": {"2"}}, nil, nil, nil)
	w.rec.count(fmt.Sprintf("list %d", a.status))
	if a.err != nil || a.status != 200 {
		return
	}
	var found struct {
		Contents []struct{ Key, ETag string }
	}
	if err := xml.Unmarshal(a.body, &found); err != nil {
		w.rec.damage("a listing that is no XML: %v", err)
		return
	}
	etags := map[string]string{}
	for _, c := range found.Contents {
		etags[c.Key] = strings.Trim(c.ETag, `"`)
	}
	for i := 0; i < *keys; i++ {
		key, _ := keyName(i)
		out := output{status: 404}
		if etag, ok := etags[key]; ok {
			out = output{status: 200, etag: etag}
		}
		w.rec.add(client, input{kind: opRead, key: key, onlyETag: true, description: "LIST " + key}, call, out)
	}
}

func (w *workload) one(client int, rng *rand.Rand) {
	gateway := rng.Intn(len(w.gateways))
	if rng.Intn(2) == 0 {
		gateway = client % len(w.gateways) // half of the time each sticks to one
	}
	g := w.gateways[gateway]
	key, pad := keyName(rng.Intn(*keys))
	name := fmt.Sprintf("v%d", atomic.AddInt64(&w.next, 1))
	known := w.look(key)
	in := input{key: key}
	switch n := rng.Intn(100); {
	case n < 30:
		w.read(client, gateway, key, pad)
		return
	case n < 38:
		w.head(client, g, key)
		return
	case n < 40:
		w.list(client, g)
		return
	case n < 55:
		in.kind, in.content = opPut, newText(name)
	case n < 65:
		in.kind, in.content, in.ifAbsent = opPut, newText(name), true
	case n < 72 && known.etag != "":
		in.kind, in.content, in.ifMatch = opPut, newText(name), known.etag
	case n < 82:
		in.kind = opDelete
		if rng.Intn(3) == 0 {
			in.ifMatch = known.etag
		}
	case n < 91 && known.size > 0 && known.size < 40*slotSize:
		in.kind, in.content, in.offset = opAppend, slotText(name), known.size
		if rng.Intn(3) == 0 {
			in.ifMatch = known.etag
		}
	default:
		in.kind, in.content, in.slot = opPatch, slotText(name), 1+rng.Intn(slotCount-1)
		if rng.Intn(3) == 0 {
			in.ifMatch = known.etag
		}
	}
	w.write(client, g, in, pad)
}

// slowly downloads a large object that others overwrite and delete all the time, far longer than
// an epoch lasts: it must be one version, whole.
func (w *workload) slowly(client int, rng *rand.Rand) {
	for !w.stop.Load() {
		key := fmt.Sprintf("slow/%02d", rng.Intn(slowKeys))
		gateway := rng.Intn(len(w.gateways))
		troubled, troubles := w.troubled[gateway].Load(), w.troubles[gateway].Load()
		var body []byte
		a := w.patient[gateway].request("GET", path(key), nil, nil, nil, func(r io.Reader) error {
			block := make([]byte, slowBlock)
			for !w.stop.Load() {
				n, err := io.ReadFull(r, block)
				body = append(body, block[:n]...)
				if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
					return nil
				}
				if err != nil {
					return err
				}
				time.Sleep(slowPause)
			}
			return errors.New("stopped")
		})
		if w.stop.Load() {
			return
		}
		troubled = troubled || troubles != w.troubles[gateway].Load()
		switch {
		case a.status == 200 && a.err == nil && len(body) == slotCount*slotSize+slowPad:
			if text, whole := decode(body, slowPad); !whole {
				w.rec.damage("%s: a slow download has bytes of several versions: %s", key, short(text))
			}
			w.rec.count("slow whole")
		case a.status == 404 || a.status == 503:
			w.rec.count("slow refused")
		case troubled:
			w.rec.count("slow broken by a fault")
		default:
			w.rec.damage("%s: a slow download broke after %d bytes: %d %v", key, len(body), a.status, a.err)
		}
		time.Sleep(slowPause)
	}
}

// overwrites what slow readers read.
func (w *workload) overwrite(client int, rng *rand.Rand) {
	for !w.stop.Load() {
		key := fmt.Sprintf("slow/%02d", rng.Intn(slowKeys))
		gateway := rng.Intn(len(w.gateways))
		if rng.Intn(4) == 0 {
			w.gateways[gateway].request("DELETE", path(key), nil, nil, nil, nil)
		}
		text := newText(fmt.Sprintf("v%d", atomic.AddInt64(&w.next, 1)))
		w.gateways[gateway].request("PUT", path(key), nil, nil, encode(text, slowPad), nil)
		time.Sleep(4 * slowPause)
	}
}

func (w *workload) run() {
	var working, beside sync.WaitGroup
	for i := 0; i < *slow; i++ {
		i := i
		beside.Add(1)
		go func() {
			defer beside.Done()
			w.slowly(1000+i, rand.New(rand.NewSource(*seed*1000+500+int64(i))))
		}()
	}
	beside.Add(1)
	go func() {
		defer beside.Done()
		w.overwrite(2000, rand.New(rand.NewSource(*seed*1000+900)))
	}()
	for i := 0; i < *clients; i++ {
		i := i
		working.Add(1)
		go func() {
			defer working.Done()
			rng := rand.New(rand.NewSource(*seed*1000 + int64(i)))
			for atomic.LoadInt64(&w.rec.done) < *ops {
				w.one(i, rng)
			}
		}()
	}
	working.Wait()
	w.stop.Store(true)
	beside.Wait()
}

// readAll reads every key at the end, from every gateway: what was acknowledged can be read.
func (w *workload) readAll() {
	for gateway, g := range w.gateways {
		for i := 0; i < *keys; i++ {
			key, pad := keyName(i)
			ok := false
			for try := 0; try < 40 && !ok; try++ {
				if try > 0 {
					time.Sleep(250 * time.Millisecond)
				}
				a := g.request("HEAD", path(key), nil, nil, nil, nil)
				ok = a.err == nil && a.status < 500
			}
			w.troubled[gateway].Store(false)
			w.read(3000+gateway, gateway, key, pad)
			if !ok {
				w.rec.damage("%s cannot be read at the end from gateway %d", key, gateway)
			}
		}
	}
}
