package seal

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/hoc-analytics/coordaudit/audit"
)

// RecordsProof proves records of one full tile together, next to their lines of JSON, of which
// audit.ParseRecord makes a record again. It is a line of the proofs of an archive:
// docs/seal-format.md specifies it.
type RecordsProof struct {
	TileProof

	// Rows has an entry for each of Places, in their order.
	Rows []ArchivedRow
}

// ArchivedRow is what the row of a record has and the record's line of JSON does not say.
type ArchivedRow struct {
	// Seq and CreatedAt are columns that the line leaves out. They are in Carried where that
	// is not nil.
	Seq       int64
	CreatedAt time.Time

	// Carried is the whole row, where the line gives another one: a text was erased, or others
	// have stored what a record cannot say. nil nearly always.
	Carried *Row
}

// ArchiveRow returns the entry of a row whose record has a line. It reads the line as whoever
// checks the proof will, and so the two always agree.
func ArchiveRow(row Row, line []byte) (ArchivedRow, error) {
	seq, err := row.Seq()
	if err != nil {
		return ArchivedRow{}, err
	}
	if len(row.Values) > createdAtColumn && len(row.Values[createdAtColumn]) == Timestamptz.width() {
		at, ok := timeOf(int64(binary.BigEndian.Uint64(row.Values[createdAtColumn])))
		entry := ArchivedRow{Seq: seq, CreatedAt: at}
		if rec, replay, err := audit.ParseRecord(line); err == nil && !replay && ok && !audit.IsInfinite(at) && entry.Row(rec).Equal(row) {
			return entry, nil
		}
	}
	return ArchivedRow{Carried: &row}, nil
}

// Row returns the row that is proved: the one that is carried, or else that of the record, which
// audit.ParseRecord has made of its line.
func (r *ArchivedRow) Row(rec audit.Record) Row {
	if r.Carried != nil {
		return *r.Carried
	}
	rec.Seq, rec.CreatedAt = r.Seq, r.CreatedAt
	return RecordRow(rec)
}

// AppendText appends the line, without its end. [ParseRecordsProof] reads it. The error matches
// [ErrRow] or [ErrBounds]. It does not check the proof.
func (p *RecordsProof) AppendText(dst []byte) ([]byte, error) {
	if p.Tile < 0 || p.Tile >= MaxSize/TileWidth || len(p.Rows) != p.Places.Count() || len(p.Rows) == 0 {
		return dst, fmt.Errorf("writing the proof of tile %d: it has %d rows for %d places: %w", p.Tile, len(p.Rows), p.Places.Count(), ErrBounds)
	}
	var carried Places
	var seqs, times []byte
	var seq, micros int64
	i := 0
	for place := range p.Places.All() {
		row := &p.Rows[i]
		i++
		if row.Carried != nil {
			carried.Add(place)
			continue
		}
		at := microsOf(row.CreatedAt)
		// The differences are those of two's complement, so they never fail to exist.
		seqs = append(strconv.AppendInt(seqs, row.Seq-seq, 10), ',')
		times = append(strconv.AppendInt(times, at-micros, 10), ',')
		seq, micros = row.Seq, at
	}
	text := strconv.AppendInt(append(dst, `{"tile":`...), p.Tile, 10)
	text = p.Places.appendText(append(text, `,"places":"`...))
	text = append(append(text, `","seqs":[`...), bytes.TrimSuffix(seqs, []byte(","))...)
	text = append(append(text, `],"created_at":[`...), bytes.TrimSuffix(times, []byte(","))...)
	text = appendHashes(append(text, `],"hashes":"`...), p.Hashes)
	text = appendHashes(append(text, `","path":"`...), p.Path)
	text = append(text, '"')
	if carried != (Places{}) {
		text = carried.appendText(append(text, `,"carried":"`...))
		text = append(text, `","rows":[`...)
		for i := range p.Rows {
			if p.Rows[i].Carried == nil {
				continue
			}
			extra, err := p.Rows[i].Carried.appendExtra(nil)
			if err != nil {
				return dst, fmt.Errorf("writing the proof of tile %d: %w", p.Tile, err)
			}
			text = base64.StdEncoding.AppendEncode(append(text, '"'), extra)
			text = append(text, '"', ',')
		}
		text[len(text)-1] = ']'
	}
	return append(text, '}'), nil
}

func appendHashes(dst []byte, hashes []Hash) []byte {
	flat := make([]byte, 0, len(hashes)*tlog.HashSize)
	for i := range hashes {
		flat = append(flat, hashes[i][:]...)
	}
	return base64.StdEncoding.AppendEncode(dst, flat)
}

// ParseRecordsProof reads a line. It takes one spelling of each, so that
// [RecordsProof.AppendText] returns the same text. It proves nothing: call [TileProof.Check] with
// the hashes of the rows. The error matches [ErrMalformed], or [ErrRow] if a row is that of a
// newer release.
func ParseRecordsProof(line []byte) (RecordsProof, error) {
	var p RecordsProof
	f := lineFields{rest: string(line)}
	p.Tile = f.number(f.cut(`{"tile":`, ","))
	p.Places = f.places(f.cut(`"places":"`, `",`))
	seqs := f.numbers(f.cut(`"seqs":[`, "],"))
	times := f.numbers(f.cut(`"created_at":[`, "],"))
	p.Hashes = f.hashes(f.cut(`"hashes":"`, `",`))
	p.Path = f.hashes(f.cut(`"path":"`, `"`))
	var carried Places
	var rows []string
	if f.rest != "}" {
		carried = f.places(f.cut(`,"carried":"`, `",`))
		rows = strings.Split(f.cut(`"rows":["`, `"]`), `","`)
	}
	if f.bad || f.rest != "}" || p.Tile < 0 || p.Tile >= MaxSize/TileWidth || len(p.Path) > maxHashes || len(p.Hashes) > TileWidth {
		return RecordsProof{}, malformedTile("it is no line of the proofs of an archive, or was altered")
	}
	if err := p.setRows(seqs, times, carried, rows); err != nil {
		return RecordsProof{}, err
	}
	if again, err := p.AppendText(make([]byte, 0, len(line))); err != nil || !bytes.Equal(again, line) {
		return RecordsProof{}, malformedTile("it is spelled in another way")
	}
	return p, nil
}

// setRows fails unless there is one row for each place.
func (p *RecordsProof) setRows(seqs, times []int64, carried Places, rows []string) error {
	const another = "it has another number of rows than of places"
	p.Rows = make([]ArchivedRow, 0, p.Places.Count())
	var seq, micros int64
	for place := range p.Places.All() {
		if carried.Has(place) {
			if len(rows) == 0 {
				return malformedTile(another)
			}
			extra, ok := decodeBase64(rows[0])
			if !ok {
				return malformedTile("one of its rows is damaged")
			}
			row, err := parseExtra(extra)
			if err != nil {
				return err
			}
			p.Rows, rows = append(p.Rows, ArchivedRow{Carried: &row}), rows[1:]
			continue
		}
		if len(seqs) == 0 || len(times) == 0 {
			return malformedTile(another)
		}
		seq, micros = seq+seqs[0], micros+times[0]
		seqs, times = seqs[1:], times[1:]
		at, ok := timeOf(micros)
		if !ok || micros == math.MinInt64 || micros == math.MaxInt64 {
			return malformedTile("one of its times is none")
		}
		p.Rows = append(p.Rows, ArchivedRow{Seq: seq, CreatedAt: at})
	}
	if len(seqs)+len(times)+len(rows) > 0 {
		return malformedTile(another)
	}
	return nil
}

func malformedTile(cause string) error {
	return fmt.Errorf("reading the proof of a tile: %s: %w", cause, ErrMalformed)
}

// lineFields cuts a line into its fields. bad says that one was not as expected.
type lineFields struct {
	rest string
	bad  bool
}

func (f *lineFields) cut(begins, ends string) string {
	rest, begun := strings.CutPrefix(f.rest, begins)
	field, rest, ended := strings.Cut(rest, ends)
	if !begun || !ended {
		f.bad = true
		return ""
	}
	f.rest = rest
	return field
}

func (f *lineFields) number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	f.bad = f.bad || err != nil
	return n
}

func (f *lineFields) numbers(text string) []int64 {
	if text == "" {
		return nil
	}
	numbers := make([]int64, 0, TileWidth)
	for part := range strings.SplitSeq(text, ",") {
		numbers = append(numbers, f.number(part))
		if f.bad || len(numbers) > TileWidth {
			f.bad = true
			return nil
		}
	}
	return numbers
}

func (f *lineFields) places(text string) Places {
	places, ok := ParsePlaces(text)
	f.bad = f.bad || !ok
	return places
}

func (f *lineFields) hashes(text string) []Hash {
	flat, ok := decodeBase64(text)
	if !ok || len(flat)%tlog.HashSize != 0 {
		f.bad = true
		return nil
	}
	hashes := make([]Hash, 0, len(flat)/tlog.HashSize)
	for hash := range slices.Chunk(flat, tlog.HashSize) {
		hashes = append(hashes, Hash(hash))
	}
	return hashes
}
