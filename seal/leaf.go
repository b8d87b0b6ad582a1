package seal

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"

	"golang.org/x/mod/sumdb/tlog"
)

// Hash is a SHA-256 hash of the log: that of a leaf, of a node or a root.
type Hash = tlog.Hash

// Row is a row in PostgreSQL's binary format, as its table holds it.
type Row struct {
	Kind    Kind
	Version uint8 // of the leaf

	// Values has one value for each of [Columns]: what the type's send function returns,
	// texts in UTF-8. nil is NULL, and an empty slice is the empty text.
	Values [][]byte

	// Digests is nil as long as no text of the row was erased. Otherwise it has one entry
	// for each column, of which those of erased texts are not nil: the 32 bytes of
	// [Row.Digest]. The value of such a column is nil.
	Digests [][]byte
}

// AppendLeaf appends the row's canonical bytes. Two rows have the same bytes only if all
// their values are the same (for a hashed column: only if SHA-256 of them is). It returns
// dst unchanged and an error that matches [ErrRow] if the row does not have the form of its
// kind.
func (r Row) AppendLeaf(dst []byte) ([]byte, error) {
	columns := Columns(r.Kind, r.Version)
	if err := r.check(columns); err != nil {
		return dst, err
	}
	return r.appendLeaf(dst, columns), nil
}

// Hash returns the RFC 6962 hash of the row's leaf: SHA-256 of a zero byte and the
// canonical bytes. [Hasher.Hash] does the same without allocating.
func (r Row) Hash() (Hash, error) {
	var h Hasher
	return h.Hash(r)
}

// Seq returns the value of the column seq.
func (r Row) Seq() (int64, error) {
	if len(r.Values) == 0 || len(r.Values[0]) != Int8.width() {
		return 0, fmt.Errorf("reading seq of a %s: it is missing or not 8 bytes long: %w", r.Kind, ErrRow)
	}
	return int64(binary.BigEndian.Uint64(r.Values[0])), nil
}

// Digest returns what the leaf holds instead of the text of a hashed column. It must be
// kept when the text is erased. The error matches [ErrRow] if the row is malformed, the
// column is not hashed or its value is NULL.
func (r Row) Digest(column int) (Hash, error) {
	columns := Columns(r.Kind, r.Version)
	if err := r.check(columns); err != nil {
		return Hash{}, err
	}
	if column < 0 || column >= len(columns) || !columns[column].Hashed {
		return Hash{}, fmt.Errorf("hashing a text of a %s: column %d is not hashed: %w", r.Kind, column, ErrRow)
	}
	switch {
	case r.erased(column):
		return Hash(r.Digests[column]), nil
	case r.Values[column] == nil:
		return Hash{}, fmt.Errorf("hashing %s of a %s: it is NULL: %w", columns[column].Name, r.Kind, ErrRow)
	}
	return Hash(r.appendDigest(nil, &columns[column], r.Values[column])), nil
}

// Hasher computes the hashes of rows without allocating. The zero value is ready. It is
// not for concurrent use.
type Hasher struct {
	leaf    []byte
	kind    Kind
	version uint8
	columns []Column // of kind and version
}

// Hash returns what [Row.Hash] does. It keeps nothing of the row.
func (h *Hasher) Hash(r Row) (Hash, error) {
	if h.columns == nil || h.kind != r.Kind || h.version != r.Version {
		h.kind, h.version, h.columns = r.Kind, r.Version, Columns(r.Kind, r.Version)
	}
	if err := r.check(h.columns); err != nil {
		return Hash{}, err
	}
	h.leaf = r.appendLeaf(append(h.leaf[:0], 0), h.columns)
	return sha256.Sum256(h.leaf), nil
}

// appendLeaf needs a row that was checked.
func (r *Row) appendLeaf(dst []byte, columns []Column) []byte {
	dst = append(dst, "coordaudit "...)
	dst = append(dst, r.Kind.String()...)
	dst = append(dst, 0, r.Version)
	for i := range columns {
		value := r.Values[i]
		switch {
		case r.erased(i):
			dst = append(binary.BigEndian.AppendUint32(dst, sha256.Size), r.Digests[i]...)
		case value == nil:
			dst = append(dst, 0xff, 0xff, 0xff, 0xff)
		case columns[i].Hashed:
			dst = r.appendDigest(binary.BigEndian.AppendUint32(dst, sha256.Size), &columns[i], value)
		default:
			dst = append(binary.BigEndian.AppendUint32(dst, uint32(len(value))), value...)
		}
	}
	return dst
}

// appendDigest hashes in dst itself, which has room afterwards. The audit id in it keeps
// equal texts of two records apart.
func (r *Row) appendDigest(dst []byte, column *Column, value []byte) []byte {
	if column.Type == JSONB {
		value = value[1:] // the version
	}
	start := len(dst)
	dst = append(dst, "coordaudit "...)
	dst = append(dst, column.Name...)
	dst = append(dst, 0)
	dst = append(dst, r.Values[auditIDColumn]...)
	dst = append(dst, value...)
	sum := sha256.Sum256(dst[start:])
	return append(dst[:start], sum[:]...)
}

func (r *Row) erased(column int) bool { return r.Digests != nil && r.Digests[column] != nil }

func (r *Row) check(columns []Column) error {
	switch {
	case columns == nil:
		return fmt.Errorf("encoding a leaf of %s, version %d: unknown kind or version, a newer release may know it: %w", r.Kind, r.Version, ErrRow)
	case len(r.Values) != len(columns):
		return fmt.Errorf("encoding a %s: it has %d values and needs %d: %w", r.Kind, len(r.Values), len(columns), ErrRow)
	case r.Digests != nil && len(r.Digests) != len(columns):
		return fmt.Errorf("encoding a %s: it has %d digests and needs none or %d: %w", r.Kind, len(r.Digests), len(columns), ErrRow)
	}
	for i := range columns {
		if r.Digests == nil && columns[i].fits(r.Values[i]) {
			continue
		}
		if fault := r.fault(i, &columns[i]); fault != "" {
			return fmt.Errorf("encoding %s of a %s: it %s: %w", columns[i].Name, r.Kind, fault, ErrRow)
		}
	}
	return nil
}

// fits is the fast half of fault: it is false for what needs a closer look.
func (c *Column) fits(value []byte) bool {
	switch c.Type {
	case Text, Bytea, Int8Multirange:
		return len(value) <= math.MaxInt32
	case Timestamptz, Int8:
		return len(value) == 8
	case UUID:
		return len(value) == 16
	default:
		return false
	}
}

// fault is "" if the value is one of its column.
func (r *Row) fault(i int, column *Column) string {
	value := r.Values[i]
	if r.erased(i) {
		switch {
		case !column.Hashed:
			return "has a digest, and only hashed columns may have one"
		case value != nil:
			return "has a value and a digest"
		case len(r.Digests[i]) != sha256.Size:
			return "has a digest that is not 32 bytes long"
		}
		return ""
	}
	if value == nil {
		if i == 0 || r.Kind == Record && i == auditIDColumn {
			return "is NULL"
		}
		return ""
	}
	if width := column.Type.width(); width != 0 && len(value) != width {
		return "is not the binary form of " + column.Type.String()
	}
	if column.Type == JSONB && (len(value) == 0 || value[0] != jsonbVersion) {
		return "is not the binary form of jsonb, version 1"
	}
	if len(value) > math.MaxInt32 {
		return "is longer than PostgreSQL can send"
	}
	return ""
}

const jsonbVersion = 1
