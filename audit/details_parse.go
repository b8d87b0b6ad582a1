package audit

import (
	"slices"
	"strconv"
	"strings"
)

const brokenDetails = "is not valid JSON"

// normalDetails returns the normal form of a JSON object, or the reason why it has none.
// It allocates nothing for most texts that are in normal form.
func normalDetails(text string) (normal, reason string) {
	if len(text) > maxDetailsInput {
		return "", "is longer than " + strconv.Itoa(maxDetailsInput) + " bytes"
	}
	p := detailsParser{text: text, normal: normalText{source: text}}
	ok := p.document()
	if p.unsorted {
		p = detailsParser{text: text, normal: normalText{source: text}, sorts: true}
		ok = p.document()
	}
	if !ok {
		return "", p.fault()
	}
	return p.normal.text(), ""
}

// detailsParser reads one JSON text and writes its normal form. It stops at the first
// fault. Its methods return false then.
type detailsParser struct {
	text   string
	at     int
	normal normalText

	// Most texts have been sorted before. A parser that does not sort needs no list of the
	// members and stops at a key that is out of order.
	sorts    bool
	unsorted bool
	members  []detailsMember // of all objects that are open

	reason string // of the fault
	path   string // to the fault, from the inside outwards
}

func (p *detailsParser) fail(reason string) bool {
	p.reason = reason
	return false
}

// inside adds the outer part of a fault's path. A path that is long enough loses its
// outermost parts.
func (p *detailsParser) inside(step string) bool {
	const enough = 256
	switch {
	case len(p.path) < enough:
		p.path = step + p.path
	case !strings.HasPrefix(p.path, "…"):
		p.path = "…" + p.path
	}
	return false
}

func (p *detailsParser) fault() string {
	switch {
	case p.normal.size > MaxDetailsBytes:
		return "is longer than " + strconv.Itoa(MaxDetailsBytes) + " bytes in its normal form"
	case p.path == "":
		return p.reason
	default:
		return strings.TrimPrefix(p.path, ".") + " " + p.reason
	}
}

// stepTo is the part of a path that names a member. A key that is no plain word is
// quoted, as it may hold anything.
func stepTo(key string) string {
	const maxLength = 32
	other := func(r rune) bool {
		return r != '_' && r != '-' && (r < '0' || '9' < r) && (r < 'a' || 'z' < r) && (r < 'A' || 'Z' < r)
	}
	if key == "" || len(key) > maxLength || strings.ContainsFunc(key, other) {
		return "[" + quoteClipped(key, maxLength) + "]"
	}
	return "." + key
}

func (p *detailsParser) space() {
	for p.at < len(p.text) {
		switch p.text[p.at] {
		case ' ', '\t', '\r', '\n':
			p.at++
		default:
			return
		}
	}
}

// take takes b if it comes next, after any space.
func (p *detailsParser) take(b byte) bool {
	p.space()
	if p.at == len(p.text) || p.text[p.at] != b {
		return false
	}
	p.at++
	return true
}

// write returns false if the normal form is too long. No one value is at fault then.
func (p *detailsParser) write(part string) bool {
	p.normal.add(part)
	return p.normal.size <= MaxDetailsBytes
}

func (p *detailsParser) document() bool {
	if !p.take('{') {
		return p.fail("must be a JSON object")
	}
	if !p.object(1) {
		return false
	}
	p.space()
	return p.at == len(p.text) || p.fail("has text after the JSON object")
}

// value reads any value. depth is that of an object or array.
func (p *detailsParser) value(depth int) bool {
	p.space()
	if p.at == len(p.text) {
		return p.fail(brokenDetails + ": it ends too early")
	}
	switch p.text[p.at] {
	case '{':
		p.at++
		return p.object(depth)
	case '[':
		p.at++
		return p.array(depth)
	case '"':
		_, ok := p.str()
		return ok
	case 'n':
		return p.word("null")
	case 't':
		return p.word("true")
	case 'f':
		return p.word("false")
	default:
		return p.number()
	}
}

func (p *detailsParser) word(word string) bool {
	if !strings.HasPrefix(p.text[p.at:], word) {
		return p.fail(brokenDetails)
	}
	p.at += len(word)
	return p.write(word)
}

func (p *detailsParser) deeper(depth int) bool {
	return depth <= maxDetailsDepth || p.fail("is nested more than "+strconv.Itoa(maxDetailsDepth)+" levels deep")
}

// array reads the elements after the bracket.
func (p *detailsParser) array(depth int) bool {
	if !p.deeper(depth) || !p.write("[") {
		return false
	}
	if p.take(']') {
		return p.write("]")
	}
	for i := 0; ; i++ {
		if i > 0 && !p.write(", ") {
			return false
		}
		if !p.value(depth + 1) {
			return p.inside("[" + strconv.Itoa(i) + "]")
		}
		if p.take(']') {
			return p.write("]")
		}
		if !p.take(',') {
			return p.fail(brokenDetails)
		}
	}
}

// object reads the members after the brace.
func (p *detailsParser) object(depth int) bool {
	if !p.deeper(depth) || !p.write("{") {
		return false
	}
	if p.take('}') {
		return p.write("}")
	}
	first, last := len(p.members), ""
	for n := 0; ; n++ {
		if n > 0 && !p.write(", ") {
			return false
		}
		m, ok := p.member(depth, last)
		if !ok {
			return false
		}
		last = m.key
		if p.sorts {
			p.members = append(p.members, m)
		}
		if p.take('}') {
			return p.sort(first) && p.write("}")
		}
		if !p.take(',') {
			return p.fail(brokenDetails)
		}
	}
}

func (p *detailsParser) member(depth int, last string) (m detailsMember, ok bool) {
	p.space()
	m.from = p.normal.size
	if p.at == len(p.text) || p.text[p.at] != '"' {
		return m, p.fail(brokenDetails)
	}
	m.key, ok = p.str()
	if !ok {
		return m, p.fail("has a key that " + p.reason)
	}
	if !p.sorts && compareKeys(last, m.key) >= 0 { // also at a first key that is empty
		p.unsorted = true
		return m, false
	}
	if !p.take(':') {
		return m, p.fail(brokenDetails)
	}
	if !p.write(": ") {
		return m, false
	}
	if !p.value(depth + 1) {
		return m, p.inside(stepTo(m.key))
	}
	m.to = p.normal.size
	return m, true
}

// sort brings the members of the innermost object into jsonb's order, in which equal keys
// are neighbours. They begin at index first.
func (p *detailsParser) sort(first int) bool {
	members := p.members[first:]
	p.members = p.members[:first]
	compare := func(a, b detailsMember) int { return compareKeys(a.key, b.key) }
	if !slices.IsSortedFunc(members, compare) {
		from, to := members[0].from, p.normal.size
		slices.SortFunc(members, compare)
		p.normal.reorder(from, to, members)
	}
	for i := 1; i < len(members); i++ {
		if members[i].key == members[i-1].key {
			p.reason = "comes twice"
			return p.inside(stepTo(members[i].key))
		}
	}
	return true
}
