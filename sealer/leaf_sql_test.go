package sealer_test

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/internal/sealdriver"
	"github.com/hoc-analytics/coordaudit/seal"
)

// looseSchema has the four tables without constraints, so that they hold any row that a leaf
// may be of.
const looseSchema = `
	CREATE SCHEMA loose;
	CREATE TABLE loose.coordination_audit_records (LIKE coordination_audit_records);
	CREATE TABLE loose.coordination_audit_gaps (LIKE coordination_audit_gaps);
	CREATE TABLE loose.coordination_audit_statements (LIKE coordination_audit_statements);
	CREATE TABLE loose.coordination_audit_seal_events (LIKE coordination_audit_seal_events);
	DO $$
	DECLARE
		of record;
	BEGIN
		FOR of IN SELECT attrelid::regclass AS rel, attname, atttypid FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
			WHERE relnamespace = 'loose'::regnamespace AND attnum > 0
		LOOP
			EXECUTE format('ALTER TABLE %s ALTER COLUMN %I DROP NOT NULL', of.rel, of.attname);
			IF of.atttypid = 'varchar'::regtype THEN
				EXECUTE format('ALTER TABLE %s ALTER COLUMN %I TYPE text', of.rel, of.attname);
			END IF;
		END LOOP;
	END $$`

// hostileSession are settings that change how PostgreSQL writes values as text.
const hostileSession = `SET client_encoding TO 'LATIN1'; SET datestyle TO 'German'; SET timezone TO 'Asia/Kathmandu';
	SET bytea_output TO 'escape'; SET standard_conforming_strings TO off; SET intervalstyle TO 'sql_standard'; SET extra_float_digits TO 0`

func kinds() []seal.Kind { return []seal.Kind{seal.Record, seal.Gap, seal.Statement, seal.Event} }

func tableOf(kind seal.Kind) string {
	name := map[seal.Kind]string{seal.Record: "records", seal.Gap: "gaps", seal.Statement: "statements", seal.Event: "seal_events"}[kind]
	return "loose.coordination_audit_" + name
}

// leafQueries returns the statements of leaf_v1.sql by kind.
func leafQueries(t *testing.T) map[seal.Kind]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "seal", "testdata", "leaf_v1.sql"))
	if err != nil {
		t.Fatal(err)
	}
	queries := map[seal.Kind]string{}
	for _, kind := range kinds() {
		_, after, found := strings.Cut(string(text), "\n-- "+kind.String()+"\n")
		query, _, ended := strings.Cut(after, ";\n")
		if !found || !ended {
			t.Fatalf("leaf_v1.sql has no statement for a %s", kind)
		}
		queries[kind] = query + ";\n"
	}
	return queries
}

// looseConn returns a connection on which the names of the tables mean those without
// constraints.
func (s *sealed) looseConn(t *testing.T) *pgx.Conn {
	t.Helper()
	if _, err := s.pool.Exec(t.Context(), looseSchema); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), s.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	if _, err := conn.Exec(t.Context(), "SET search_path TO loose"); err != nil {
		t.Fatal(err)
	}
	return conn
}

// insertRow stores values as they are, in PostgreSQL's binary form.
func insertRow(t *testing.T, conn *pgx.Conn, kind seal.Kind, values [][]byte) {
	t.Helper()
	var names, places []string
	for i, column := range seal.Columns(kind, seal.LeafVersion) {
		names, places = append(names, column.Name), append(places, fmt.Sprintf("$%d", i+1))
	}
	sql := "INSERT INTO " + tableOf(kind) + " (" + strings.Join(names, ", ") + ") VALUES (" + strings.Join(places, ", ") + ")"
	if result := conn.PgConn().ExecParams(t.Context(), sql, values, nil, []int16{pgx.BinaryFormatCode}, nil).Read(); result.Err != nil {
		t.Fatalf("a %s with the values %x: %v", kind, values, result.Err)
	}
}

// sqlHashes returns what the SQL computes, by seq.
func sqlHashes(t *testing.T, conn *pgx.Conn, query string) map[int64]seal.Hash {
	t.Helper()
	rows, err := conn.Query(t.Context(), query, pgx.QueryResultFormats{pgx.BinaryFormatCode})
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	hashes := map[int64]seal.Hash{}
	for rows.Next() {
		raw := rows.RawValues()
		seq := int64(binary.BigEndian.Uint64(raw[0]))
		if _, twice := hashes[seq]; twice || len(raw[2]) != len(seal.Hash{}) {
			t.Errorf("seq %d: twice, or %d bytes", seq, len(raw[2]))
		}
		hashes[seq] = seal.Hash(raw[2])
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return hashes
}

// The SQL of the specification and package seal compute the same leaf, of every row of the
// test vectors. An erased text is in no table.
func TestSQLComputesTheLeafOfVectors(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	conn := s.looseConn(t)
	text, err := os.ReadFile(filepath.Join("..", "seal", "testdata", "leaf_v1.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Name, Kind, Hash string
		Columns          []struct{ Value, Digest *string }
	}
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	queries, compared := leafQueries(t), 0
	for _, v := range vectors {
		values, erased := make([][]byte, len(v.Columns)), false
		for i, column := range v.Columns {
			erased = erased || column.Digest != nil
			if column.Value == nil {
				continue
			}
			if values[i], err = hex.DecodeString(*column.Value); err != nil {
				t.Fatal(err)
			}
		}
		if erased {
			continue
		}
		for _, kind := range kinds() {
			if kind.String() != v.Kind {
				continue
			}
			insertRow(t, conn, kind, values)
			for _, hash := range sqlHashes(t, conn, queries[kind]) {
				if compared++; hex.EncodeToString(hash[:]) != v.Hash {
					t.Errorf("%s: the SQL computes %x, want %s", v.Name, hash, v.Hash)
				}
			}
			if _, err := conn.Exec(t.Context(), "TRUNCATE "+tableOf(kind)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if compared != len(vectors)-1 {
		t.Errorf("%d of %d vectors were compared, want all but the erased one", compared, len(vectors))
	}
}

// So they do for rows of any content, in a session with any settings.
func TestSQLComputesTheLeaf(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	conn := s.looseConn(t)
	seed := rand.Uint64()
	random := randomRow{rand.New(rand.NewPCG(seed, 0))}
	for range 1500 {
		for _, kind := range kinds() {
			insertRow(t, conn, kind, random.values(kind))
		}
	}
	source, err := sealdriver.Open(t.Context(), s.pool, "loose", sealdriver.Reader)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close(t.Context())
	queries := leafQueries(t)
	for _, session := range []string{"RESET client_encoding", hostileSession} {
		if _, err := conn.PgConn().Exec(t.Context(), session).ReadAll(); err != nil {
			t.Fatal(err)
		}
		for _, kind := range kinds() {
			got, compared := sqlHashes(t, conn, queries[kind]), 0
			err := source.Rows(t.Context(), kind, math.MinInt64, math.MaxInt64, func(values [][]byte) error {
				row := seal.Row{Kind: kind, Version: seal.LeafVersion, Values: values}
				seq, err := row.Seq()
				if err != nil {
					return err
				}
				want, err := row.Hash()
				if compared++; got[seq] != want {
					t.Errorf("seed %d: a %s with the values %x: the SQL computes %x, package seal %x", seed, kind, values, got[seq], want)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if compared != 1500 || len(got) != 1500 {
				t.Errorf("%d of %d rows of kind %s were compared, want 1500", compared, len(got), kind)
			}
		}
	}
}

// The specification shows the statement that is tested.
func TestSpecificationShowsTheSQL(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "docs", "seal-format.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "```sql\n"+leafQueries(t)[seal.Record]+"```\n") {
		t.Error("docs/seal-format.md shows another statement than seal/testdata/leaf_v1.sql")
	}
}

// randomRow makes rows of any content.
type randomRow struct{ *rand.Rand }

// values returns a value for each column, or nil for NULL. seq and the record's id are never
// NULL.
func (r randomRow) values(kind seal.Kind) [][]byte {
	columns := seal.Columns(kind, seal.LeafVersion)
	values := make([][]byte, len(columns))
	for i, column := range columns {
		if i < 2 || r.IntN(4) > 0 {
			values[i] = r.value(column.Type)
		}
	}
	binary.BigEndian.PutUint64(values[0], r.Uint64()) // as good as unique
	return values
}

func (r randomRow) value(of seal.Type) []byte {
	switch of {
	case seal.UUID:
		return r.bytes(16)
	case seal.Text:
		return []byte(r.text())
	case seal.Timestamptz:
		return r.time()
	case seal.Int4:
		return binary.BigEndian.AppendUint32(nil, uint32(r.int()))
	case seal.Int8:
		return binary.BigEndian.AppendUint64(nil, uint64(r.int()))
	case seal.Bool:
		return []byte{byte(r.IntN(2))}
	case seal.Bytea:
		return r.bytes(r.IntN(40))
	case seal.JSONB:
		return append([]byte{1}, r.json(3)...)
	case seal.Int8Multirange:
		return r.ranges()
	}
	return nil
}

func (r randomRow) bytes(count int) []byte {
	bytes := make([]byte, count)
	for i := range bytes {
		bytes[i] = byte(r.Uint32())
	}
	return bytes
}

func (r randomRow) int() int64 {
	edges := []int64{0, 1, -1, math.MinInt64, math.MaxInt64, math.MinInt32, math.MaxInt32}
	if i := r.IntN(2 * len(edges)); i < len(edges) {
		return edges[i]
	}
	return int64(r.Uint64()) >> r.IntN(64)
}

// time returns the infinities, the first and the last moment that PostgreSQL has, and others.
func (r randomRow) time() []byte {
	const first, last = -211813488000000000, 9223371331199999999 // 4713 BC, 294276 AD
	edges := []int64{math.MaxInt64, math.MinInt64, first, last, 0, -1, 1}
	at := first + r.Int64N(last/2) + r.Int64N(last/2)
	if i := r.IntN(2 * len(edges)); i < len(edges) {
		at = edges[i]
	}
	return binary.BigEndian.AppendUint64(nil, uint64(at))
}

func (r randomRow) text() string {
	pieces := []string{
		"", "a", "Größe", "e\u0301", "é", "日本語", "🜚", "\u202e", "\u00a0", "\n", "\t\r", "\x01", "\x7f", "'", `"`, `\`, `\x00`, "{}", "NULL", "\ufffd", "\U0010ffff",
		strings.Repeat("x", 32), strings.Repeat("a long text. ", 400),
	}
	var text strings.Builder
	for range r.IntN(5) {
		text.WriteString(pieces[r.IntN(len(pieces))])
	}
	return text.String()
}

// json returns JSON with any spelling. PostgreSQL spells it in its own way.
func (r randomRow) json(depth int) string {
	quoted := func() string {
		text, err := json.Marshal(r.text())
		if err != nil {
			return `""`
		}
		return string(text)
	}
	numbers := []string{
		"0", "-0", "1.50", "1e3", "1E-7", "123456789012345678901234567890.123456789012345678901234567890", "-9007199254740993", "1e400", "0.1e-400", "18446744073709551616",
	}
	kinds := 6
	if depth == 0 {
		kinds = 4
	}
	var parts []string
	switch r.IntN(kinds) {
	case 0:
		return numbers[r.IntN(len(numbers))]
	case 1:
		return []string{"null", " true ", "false"}[r.IntN(3)]
	case 2, 3:
		return quoted()
	case 4:
		for range r.IntN(4) {
			parts = append(parts, r.json(depth-1))
		}
		return "[ " + strings.Join(parts, " ,\n") + "]"
	default:
		for range r.IntN(5) { // a key may repeat
			parts = append(parts, quoted()+" :\t"+r.json(depth-1))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
}

// ranges returns ranges in order that do not touch.
func (r randomRow) ranges() []byte {
	count := r.IntN(4)
	value := binary.BigEndian.AppendUint32(nil, uint32(count))
	at := int64(r.IntN(1000)) - 500
	for range count {
		first := at + 1 + int64(r.IntN(1000))
		at = first + 1 + r.Int64N(math.MaxInt32)
		value = binary.BigEndian.AppendUint32(value, 25)
		value = append(value, 2) // the first is in, the second is not
		for _, bound := range []int64{first, at} {
			value = binary.BigEndian.AppendUint32(value, 8)
			value = binary.BigEndian.AppendUint64(value, uint64(bound))
		}
	}
	return value
}
