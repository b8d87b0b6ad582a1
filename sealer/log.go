package sealer

import (
	"fmt"

	"github.com/hoc-analytics/coordaudit/internal/sealdriver"
	"github.com/hoc-analytics/coordaudit/seal"
)

// log is the right edge of the log, and what was appended since the last checkpoint.
type log struct {
	epoch int64
	tree  *seal.Tree
	saved int64 // the size of the last checkpoint

	tail                  []leaf // the leaves after the last full tile
	highest               int64  // the highest seq of a record so far
	lateFrom, lateThrough int64  // of the late records in the tail
	full                  []sealdriver.Tile
	indexed               bool              // the trail is on a cluster
	index                 []sealdriver.Leaf // the new leaves, if it is
	hasher                seal.Hasher
}

// add appends a row. Its values may be reused afterwards.
func (l *log) add(kind seal.Kind, values [][]byte) (seq int64, err error) {
	row := seal.Row{Kind: kind, Version: seal.LeafVersion, Values: values}
	hash, err := l.hasher.Hash(row)
	if err != nil {
		return 0, err
	}
	seq, err = row.Seq()
	if err != nil {
		return 0, err
	}
	if seq > maxSeq {
		return 0, cannot(fmt.Sprintf("a %s has seq %d, and a log has none above %d: find out who moved the sequence; its owner must take the row away and set the sequence back", kind, seq, int64(maxSeq)))
	}
	if l.indexed {
		of := sealdriver.LeafOf(kind, values)
		of.Index = l.tree.Size()
		l.index = append(l.index, of)
	}
	l.append(leaf{kind: kind, seq: seq}, hash)
	return seq, nil
}

func (l *log) append(of leaf, hash seal.Hash) {
	l.note(of)
	for _, tile := range l.tree.Append(hash) {
		stored := sealdriver.Tile{Level: tile.Level, Index: tile.Index, Through: l.highest, Root: tile.Root(), Hashes: tile.Hashes, Leaves: []byte{}}
		if tile.Level == 0 {
			stored.Leaves = appendLeaves(nil, l.tail)
			stored.LateFrom, stored.LateThrough = l.lateFrom, l.lateThrough
			l.tail, l.lateFrom, l.lateThrough = l.tail[:0], 0, 0
		}
		l.full = append(l.full, stored)
	}
}

// note keeps the tail's list, and the range of its late records. A record whose seq is not
// above all before it cannot be found by the first tile that reaches it.
func (l *log) note(of leaf) {
	l.tail = append(l.tail, of)
	switch {
	case of.kind != seal.Record:
	case of.seq > l.highest:
		l.highest = of.seq
	case l.lateFrom == 0:
		l.lateFrom, l.lateThrough = of.seq, of.seq
	default:
		l.lateFrom, l.lateThrough = min(l.lateFrom, of.seq), max(l.lateThrough, of.seq)
	}
}

// marks returns the marks of the leaves after the last full tile that no checkpoint has yet.
func (l *log) marks() []byte {
	size := l.tree.Size()
	marked := max(0, l.saved-(size-size%tileWidth))
	marks := []byte{}
	if size%tileWidth != 0 {
		for _, hash := range l.edge()[marked:] {
			marks = append(marks, hash[:sealdriver.MarkSize]...)
		}
	}
	return marks
}

// edge returns the hashes of the leaves after the last full tile.
func (l *log) edge() []seal.Hash {
	if edge := l.tree.Edge(); len(edge) > 0 {
		return edge[0]
	}
	return nil
}
