package seal_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/seal"
)

// tileVector is an entry of testdata/records_proof.json: lines of records, and of their proof.
type tileVector struct {
	Name    string            `json:"name"`
	Size    int64             `json:"size"`
	Root    string            `json:"root"`
	Leaves  []string          `json:"leaves"` // hashes, in base64
	Records []json.RawMessage `json:"records"`
	Proof   json.RawMessage   `json:"proof"`
}

const tileVectorFile = "testdata/records_proof.json"

// archivedRows are rows of records, as this library stores them and in every way that it does not.
func archivedRows(tb testing.TB) (rows []seal.Row) {
	tb.Helper()
	for i := range 12 {
		rec := audit.Record{
			AuditID: uuid.UUID(uuidValue(byte(i))), EnvelopeID: fmt.Sprintf("envelope-%d", i), EnvelopeClass: audit.Cost, Decision: audit.Applied,
			Reason: "no conflict", DecisionTimestamp: time.Date(2026, 1, 2, 3, 4, i, 5000, time.UTC), ActiveEnvelopesCount: int32(i),
			Seq: int64(1000 + i*i), CreatedAt: time.Date(2026, 1, 2, 3, 5, i, 0, time.UTC), Details: `{"n": 1}`,
		}
		rows = append(rows, seal.RecordRow(rec))
	}
	rows[1] = set(tb, rows[1], "tenant_id", []byte{})
	rows[2] = set(tb, rows[2], "created_at", int8Value(infinity))
	rows[3] = set(tb, rows[3], "details", jsonbValue(`{"n": 1.50}`))
	rows[4] = erase(tb, erase(tb, rows[4], "reason"), "details")
	rows[5] = set(tb, rows[5], "seq", int8Value(math.MinInt64))
	rows[6] = set(tb, rows[6], "seq", int8Value(math.MaxInt64))
	rows[7] = set(tb, rows[7], "created_at", int8Value(bc4713))
	rows[8] = set(tb, rows[8], "created_at", int8Value(endOfTime))
	rows[9] = set(tb, rows[9], "decision_timestamp", int8Value(negInfinity))
	return rows
}

// archivedLog has the rows in its second tile, the first of them at a place.
func archivedLog(tb testing.TB, rows []seal.Row, size int, places seal.Places) (*testLog, seal.RecordsProof, [][]byte) {
	tb.Helper()
	leaves := numbered(size)
	var lines [][]byte
	var entries []seal.ArchivedRow
	for place := range places.All() {
		row := rows[len(lines)]
		hash, err := row.Hash()
		if err != nil {
			tb.Fatal(err)
		}
		leaves[seal.TileWidth+int(place)] = hash
		rec, err := row.Record()
		if err != nil {
			tb.Fatal(err)
		}
		line, err := rec.MarshalJSON()
		if err != nil {
			tb.Fatal(err)
		}
		entry, err := seal.ArchiveRow(row, line)
		if err != nil {
			tb.Fatal(err)
		}
		lines, entries = append(lines, line), append(entries, entry)
	}
	log := newLog(leaves...)
	proof, _ := tileProofOf(tb, log, 1, places)
	return log, seal.RecordsProof{TileProof: proof, Rows: entries}, lines
}

func placesOf(of ...uint8) (places seal.Places) {
	for _, place := range of {
		places.Add(place)
	}
	return places
}

// checkLines proves lines of records by that of their proof, as the check of an archive does.
func checkLines(size int64, root seal.Hash, proof []byte, records [][]byte) ([]seal.Hash, error) {
	parsed, err := seal.ParseRecordsProof(proof)
	if err != nil {
		return nil, err
	}
	leaves := make([]seal.Hash, len(parsed.Rows))
	for i := range parsed.Rows {
		rec, _, _ := audit.ParseRecord(records[i]) // carried rows need not be records that are valid
		if leaves[i], err = parsed.Rows[i].Row(rec).Hash(); err != nil {
			return nil, err
		}
	}
	return leaves, parsed.Check(size, root, leaves)
}

// Rows of every kind are proved next to their lines. Those that a record cannot say are carried, and
// no others.
func TestRecordsProofProvesLines(t *testing.T) {
	t.Parallel()
	rows := archivedRows(t)
	log, proof, lines := archivedLog(t, rows, 700, placesOf(0, 1, 2, 3, 4, 5, 100, 101, 102, 103, 254, 255))
	for i, row := range proof.Rows {
		if want := i == 1 || i == 2 || i == 3 || i == 4 || i == 9; (row.Carried != nil) != want {
			t.Errorf("row %d: carried is %v", i, !want)
		}
	}
	text, err := proof.AppendText([]byte("before"))
	if err != nil {
		t.Fatal(err)
	}
	text = text[len("before"):]
	if _, err := checkLines(700, log.root(t), text, lines); err != nil {
		t.Fatal(err)
	}
	back, err := seal.ParseRecordsProof(text)
	if diff := cmp.Diff(proof, back); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	for i := range rows {
		rec, _, _ := audit.ParseRecord(lines[i])
		if !back.Rows[i].Row(rec).Equal(rows[i]) {
			t.Errorf("row %d comes back as another", i)
		}
	}
	for name, wrong := range map[string]seal.RecordsProof{
		"no rows":        {TileProof: proof.TileProof},
		"no such tile":   {TileProof: seal.TileProof{Tile: -1, Places: placesOf(1)}, Rows: proof.Rows[:1]},
		"a row too many": {TileProof: seal.TileProof{Places: placesOf(1)}, Rows: proof.Rows[:2]},
	} {
		if text, err := wrong.AppendText(nil); !errors.Is(err, seal.ErrBounds) || text != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	wrong := seal.RecordsProof{TileProof: seal.TileProof{Places: placesOf(1)}, Rows: []seal.ArchivedRow{{Carried: &seal.Row{Kind: 9}}}}
	if _, err := wrong.AppendText(nil); !errors.Is(err, seal.ErrRow) {
		t.Error(err)
	}
}

// Wherever a line of the proofs is altered, it proves the records no longer.
func TestAlteredRecordsProofProvesNothing(t *testing.T) {
	t.Parallel()
	log, proof, lines := archivedLog(t, archivedRows(t), 700, placesOf(7, 8, 40))
	text, err := proof.AppendText(nil)
	if err != nil {
		t.Fatal(err)
	}
	root := log.root(t)
	for i := range text {
		for _, bit := range []byte{1, 2, 16, 128} {
			altered := append([]byte(nil), text...)
			altered[i] ^= bit
			if _, err := checkLines(700, root, altered, lines); err == nil {
				t.Errorf("byte %d is %q instead of %q, and it holds", i, altered[i], text[i])
			}
		}
		if _, err := checkLines(700, root, text[:i], lines); !errors.Is(err, seal.ErrMalformed) {
			t.Errorf("cut off after %d bytes: %v", i, err)
		}
	}
	for name, change := range map[string][2]string{
		"a space":          {`{"tile"`, `{ "tile"`},
		"another number":   {`:1,"places"`, `:01,"places"`},
		"a plus":           {`"seqs":[`, `"seqs":[+`},
		"a key twice":      {`"hashes"`, `"path":"","hashes"`},
		"a text after it":  {`"]}`, `"]}}`},
		"a carried place":  {`"carried":"8,40"`, `"carried":"9,40"`},
		"another carried":  {`"carried":"8,40"`, `"carried":"7-8,40"`},
		"a seq more":       {`"seqs":[`, `"seqs":[1,`},
		"a time more":      {`"created_at":[`, `"created_at":[1,`},
		"no time at all":   {`"created_at":[`, `"created_at":[9223372036854775807,`},
		"a row more":       {`"rows":["`, `"rows":["AQEB","`},
		"a row of nothing": {`"rows":["`, `"rows":["","`},
	} {
		altered := strings.Replace(string(text), change[0], change[1], 1)
		if _, err := checkLines(700, root, []byte(altered), lines); altered == string(text) || !errors.Is(err, seal.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Other languages find the same lines in testdata.
func TestRecordsProofVectors(t *testing.T) {
	t.Parallel()
	rows := archivedRows(t)
	var want []tileVector
	for _, of := range []struct {
		name   string
		size   int
		places seal.Places
	}{
		{"scattered places, and rows that are carried", 700, placesOf(0, 1, 2, 3, 4, 5, 100, 101, 102, 103, 254, 255)},
		{"one place", 1000, placesOf(77)},
		{"eight places in a row", 66_000, placesOf(8, 9, 10, 11, 12, 13, 14, 15)},
	} {
		log, proof, lines := archivedLog(t, rows, of.size, of.places)
		text, err := proof.AppendText(nil)
		if err != nil {
			t.Fatal(err)
		}
		v := tileVector{Name: of.name, Size: int64(of.size), Root: log.root(t).String(), Proof: text}
		for place := range of.places.All() {
			v.Leaves = append(v.Leaves, log.leaves[seal.TileWidth+int(place)].String())
			v.Records = append(v.Records, lines[len(v.Records)])
		}
		want = append(want, v)
	}
	if *update {
		var out strings.Builder
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false)
		for _, v := range want {
			if err := encoder.Encode(v); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.FromSlash(tileVectorFile), []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.Open(filepath.FromSlash(tileVectorFile))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	decoder := json.NewDecoder(file)
	for _, v := range want {
		var got tileVector
		if err := decoder.Decode(&got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(v, got); diff != "" {
			t.Errorf("%s: %s", v.Name, diff)
		}
		checkVector(t, got)
	}
}

func checkVector(t *testing.T, v tileVector) {
	t.Helper()
	var root seal.Hash
	if err := root.UnmarshalJSON([]byte(`"` + v.Root + `"`)); err != nil {
		t.Fatal(err)
	}
	records := make([][]byte, len(v.Records))
	for i := range v.Records {
		records[i] = v.Records[i]
	}
	leaves, err := checkLines(v.Size, root, v.Proof, records)
	if err != nil {
		t.Fatalf("%s: %v", v.Name, err)
	}
	for i, leaf := range leaves {
		if leaf.String() != v.Leaves[i] {
			t.Errorf("%s: leaf %d is %s", v.Name, i, leaf)
		}
	}
}

// Reading any line ends, and what is read is written again.
func FuzzParseRecordsProof(f *testing.F) {
	_, proof, _ := archivedLog(f, archivedRows(f), 700, placesOf(7, 8, 40))
	text, err := proof.AppendText(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"tile":0,"places":"0","seqs":[1],"created_at":[1],"hashes":"","path":""}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		proof, err := seal.ParseRecordsProof(line)
		if err != nil {
			return
		}
		if again, err := proof.AppendText(nil); err != nil || string(again) != string(line) {
			t.Errorf("%v: %q", err, again)
		}
	})
}
