package main

import (
	"fmt"
	"strings"

	"github.com/anishathalye/porcupine"
)

// A key is a register: what it holds, and the ETag that this had when somebody saw it. Keys are
// independent of each other, so each history is checked by itself.
//
// Contents are texts: a header of slots that PATCHes replace, then records that appends add (see
// content.go, which also pads them to the size of slices).

type kind int

const (
	opPut kind = iota
	opDelete
	opRead   // GET, or a LIST's entry: content "" when only the ETag was told
	opAppend // at an offset
	opPatch  // of one slot
)

type input struct {
	kind        kind
	key         string
	content     string // put: all of it; append, patch: the new text
	etag        string // put: what its ETag will be
	slot        int
	offset      int
	ifAbsent    bool
	ifMatch     string
	onlyETag    bool // a read that tells no content
	description string
}

type output struct {
	unknown bool // nobody knows whether it happened
	status  int
	content string
	etag    string // "": not told
}

type state struct {
	exists  bool
	content string
	etag    string // "": nobody has seen it yet
}

func sameETag(known, asked string) bool { return known == "" || known == asked }

// apply gives the state after a write that was carried out.
func apply(s state, in input, etag string) state {
	switch in.kind {
	case opPut:
		return state{true, in.content, in.etag}
	case opDelete:
		return state{}
	case opAppend:
		return state{true, s.content + in.content, etag}
	case opPatch:
		at := in.slot * slotSize
		return state{true, s.content[:at] + in.content + s.content[at+slotSize:], etag}
	}
	return s
}

// allowed tells whether the write may be carried out in this state.
func allowed(s state, in input) bool {
	if in.ifAbsent && s.exists {
		return false
	}
	if in.ifMatch != "" && in.kind != opDelete && !s.exists {
		return false
	}
	if in.ifMatch != "" && s.exists && !sameETag(s.etag, in.ifMatch) {
		return false
	}
	switch in.kind {
	case opAppend:
		return s.exists && len(s.content) == in.offset
	case opPatch:
		return s.exists && len(s.content) >= (in.slot+1)*slotSize
	}
	return true
}

func step(s state, in input, out output) (bool, state) {
	if in.kind == opRead {
		switch {
		case out.unknown:
			return true, s
		case out.status == 404:
			return !s.exists, s
		case !s.exists || !sameETag(s.etag, out.etag) || (!in.onlyETag && out.content != s.content):
			return false, s
		}
		s.etag = out.etag
		return true, s
	}
	if out.unknown {
		if !allowed(s, in) {
			return true, s
		}
		// It may have happened at any time up to the end, or never: the checker tries the former at
		// every place; the latter is a place after everything else.
		return true, apply(s, in, "")
	}
	switch out.status {
	case 200, 204:
		if !allowed(s, in) {
			return false, s
		}
		etag := out.etag
		if in.kind == opPatch && in.ifMatch == "" {
			etag = "" // others may have written disjoint ranges at the same time
		}
		if in.kind == opDelete {
			return true, state{}
		}
		return true, apply(s, in, etag)
	case 404:
		return !s.exists, s
	case 400: // InvalidWriteOffset
		return in.kind == opAppend && len(s.content) != in.offset, s
	case 412:
		if in.ifAbsent {
			return s.exists, s
		}
		return in.ifMatch != "" && s.exists && (s.etag == "" || s.etag != in.ifMatch), s
	case 409: // refused because of others at the same time
		return true, s
	}
	return false, s
}

var model = porcupine.Model{
	Init: func() interface{} { return state{} },
	Step: func(s, in, out interface{}) (bool, interface{}) {
		return step(s.(state), in.(input), out.(output))
	},
	Equal: func(a, b interface{}) bool { return a.(state) == b.(state) },
	DescribeOperation: func(in, out interface{}) string {
		i, o := in.(input), out.(output)
		if o.unknown {
			return i.description + " -> ?"
		}
		return fmt.Sprintf("%s -> %d %s %s", i.description, o.status, o.etag, short(o.content))
	},
	DescribeState: func(s interface{}) string {
		x := s.(state)
		if !x.exists {
			return "absent"
		}
		return short(x.content) + " " + x.etag
	},
}

func short(text string) string {
	text = strings.TrimSpace(text)
	if len(text) > 60 {
		return text[:30] + "..." + text[len(text)-30:]
	}
	return text
}
