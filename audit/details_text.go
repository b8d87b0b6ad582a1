package audit

import (
	"cmp"
	"strings"
)

// normalText is a text that grows. While it agrees with the text that it is made from,
// it is a part of that text and needs no memory.
type normalText struct {
	source string
	size   int
	own    []byte // nil while the text is source[:size]
}

func (t *normalText) add(part string) {
	if t.own == nil && strings.HasPrefix(t.source[t.size:], part) {
		t.size += len(part)
		return
	}
	t.own = append(t.bytes(), part...)
	t.size = len(t.own)
}

func (t *normalText) bytes() []byte {
	if t.own == nil {
		t.own = append(make([]byte, 0, min(len(t.source), MaxDetailsBytes)), t.source[:t.size]...)
	}
	return t.own
}

func (t *normalText) text() string {
	if t.own == nil {
		return t.source[:t.size]
	}
	return string(t.own)
}

// detailsMember is one member of an object. The normal form has it at from to to.
type detailsMember struct {
	key      string // without escapes
	from, to int
}

// compareKeys orders keys as jsonb does. The order is by length, so that most comparisons
// need not look at the bytes.
func compareKeys(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

// reorder writes the members between from and to in their new order.
func (t *normalText) reorder(from, to int, members []detailsMember) {
	old := string(t.bytes()[from:to])
	text := t.own[:from]
	for i, m := range members {
		if i > 0 {
			text = append(text, ", "...)
		}
		text = append(text, old[m.from-from:m.to-from]...)
	}
	t.own = text
}
