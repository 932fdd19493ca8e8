package main

import (
	"bytes"
	"fmt"
	"strings"
)

// What objects hold. `text` is what the model knows: slotCount slots of slotSize characters, of
// which the first names the writer, then appended records. A large object is the same with padding
// behind the slots that follows from its writer's name, so that no byte of another version can go
// unnoticed.
const (
	slotSize  = 32
	slotCount = 4
	padSize   = 150 << 10 // more than is kept in the database: three slices' granules
)

func slotText(name string) string { return fmt.Sprintf("%-*s", slotSize, name) }

func newText(name string) string {
	return slotText(name) + strings.Repeat(slotText("-"), slotCount-1)
}

func padding(name string, size int) []byte {
	out := make([]byte, 0, size+64)
	x := uint64(14695981039346656037)
	for _, c := range []byte(name) {
		x = (x ^ uint64(c)) * 1099511628211
	}
	for len(out) < size {
		x = x*6364136223846793005 + 1442695040888963407
		out = append(out, byte(x>>33), byte(x>>41), byte(x>>49), byte(x>>57))
	}
	return out[:size]
}

// encode gives an object's bytes; `pad` 0 for a small one.
func encode(text string, pad int) []byte {
	head := slotCount * slotSize
	if pad == 0 {
		return []byte(text)
	}
	name := strings.TrimSpace(text[:slotSize])
	return append(append([]byte(text[:head]), padding(name, pad)...), text[head:]...)
}

// decode is its reverse; false when bytes are not those of one version.
func decode(body []byte, pad int) (string, bool) {
	head := slotCount * slotSize
	if len(body) < head+pad {
		return string(body), false
	}
	text := string(body[:head]) + string(body[head+pad:])
	name := strings.TrimSpace(text[:slotSize])
	return text, pad == 0 || bytes.Equal(body[head:head+pad], padding(name, pad))
}
