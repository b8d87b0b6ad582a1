package spool

import (
	"bytes"
	"strconv"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
)

// ordinals are those of records, by their source.
type ordinals map[uuid.UUID]completeness.Set

func (o ordinals) add(source uuid.UUID, ordinal int64) {
	if ordinal > 0 {
		set := o[source]
		set.Add(ordinal, ordinal)
		o[source] = set
	}
}

func (o ordinals) addAll(other ordinals) {
	for source, set := range other {
		all := o[source]
		all.AddAll(set)
		o[source] = all
	}
}

// minus returns the ordinals that other does not have, without sources that have none.
func (o ordinals) minus(other ordinals) ordinals {
	left := ordinals{}
	for source, set := range o {
		if rest := set.Minus(other[source]); len(rest) > 0 {
			left[source] = rest
		}
	}
	return left
}

func ordinalsOf(recs []audit.Record) ordinals {
	found := ordinals{}
	for i := range recs {
		found.add(recs[i].Origin.SourceID, recs[i].Origin.SourceSeq)
	}
	return found
}

// originOf returns a line's source and ordinal without parsing it, or 0. They are the last
// members that [audit.Record.MarshalJSON] writes. The details may have members of these names,
// and those are not the last ones of the line.
func originOf(text []byte) (source uuid.UUID, ordinal int64) {
	const before, between, idLength = `"source_id":"`, `","source_seq":`, 36
	text, closed := bytes.CutSuffix(bytes.TrimRight(text, " \t"), []byte("}"))
	at := bytes.LastIndex(text, []byte(between))
	if !closed || at < len(before)+idLength || string(text[at-idLength-len(before):at-idLength]) != before {
		return source, 0
	}
	source, err := uuid.ParseBytes(text[at-idLength : at])
	if err != nil {
		return source, 0
	}
	ordinal, err = strconv.ParseInt(string(text[at+len(between):]), 10, 64)
	if err != nil {
		return source, 0
	}
	return source, ordinal
}

// Ordinals returns the ordinals of the records in the segments, by their source. It includes
// records that were taken, as long as their segment is there.
func (d *Directory) Ordinals() map[uuid.UUID]completeness.Set {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := ordinals{}
	for _, seg := range d.segments {
		all.addAll(seg.ordinals)
	}
	return all
}
