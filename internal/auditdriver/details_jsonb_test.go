package auditdriver_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// TestDetailsAreAsJSONBWrites compares package audit's normal form with PostgreSQL's, on
// random objects. COORDAUDIT_DETAILS sets how many.
func TestDetailsAreAsJSONBWrites(t *testing.T) {
	t.Parallel()
	const seed, batch = 1, 2000
	inputs := fixture.Size(t, "COORDAUDIT_DETAILS", 20_000)
	pool := testdb.New(t).Pool
	createTryJSONB(t, pool)
	random := randomDetails{rand: rand.New(rand.NewPCG(seed, seed))}
	reasons := make(map[string]int)
	for made := 0; made < inputs; made += batch {
		var accepted, normal, refused, reasonsOfRefused []string
		for range min(batch, inputs-made) {
			text := random.text()
			form, reason := normalDetails(t, text)
			reasons[kindOf(reason)]++
			if reason == "" {
				accepted, normal = append(accepted, text), append(normal, form)
			} else if changedByJSONB(reason) {
				refused, reasonsOfRefused = append(refused, text), append(reasonsOfRefused, reason)
			}
		}
		requireAsWritten(t, pool, accepted, normal)
		requireChanged(t, pool, refused, reasonsOfRefused)
	}
	t.Logf("%d inputs: %v", inputs, reasons)
	for _, kind := range append(shapeFaults(), "") {
		if reasons[kind] < inputs/1000 {
			t.Errorf("%d inputs of kind %q", reasons[kind], kind)
		}
	}
}

func normalDetails(t *testing.T, text string) (normal, reason string) {
	t.Helper()
	rec := fixture.NewRecord()
	rec.Details = audit.Details(text)
	if err := rec.Validate(); err != nil {
		return "", err.Error()
	}
	return string(rec.Normalized().Details), ""
}

// shapeFaults are the ends of the reasons for which jsonb would change or refuse a text.
func shapeFaults() []string {
	return []string{
		"comes twice", "contains a NUL character, which PostgreSQL cannot store",
		"has a lone surrogate, which is no character", "is a negative zero, which PostgreSQL would store as 0",
	}
}

func changedByJSONB(reason string) bool {
	for _, fault := range shapeFaults() {
		if strings.HasSuffix(reason, fault) {
			return true
		}
	}
	return false
}

func kindOf(reason string) string {
	for _, fault := range append(shapeFaults(), "float64 would change: write it as a string", "levels deep", "bytes in its normal form", "not valid JSON") {
		if strings.HasSuffix(reason, fault) {
			return fault
		}
	}
	return reason
}

// requireAsWritten compares the normal forms with what PostgreSQL writes. The original
// must be the same value to it.
func requireAsWritten(t *testing.T, pool *pgxpool.Pool, originals, normal []string) {
	t.Helper()
	rows, err := pool.Query(t.Context(), `
		SELECT original, normal, normal::jsonb::text, octet_length(normal::jsonb::text), original::jsonb = normal::jsonb
		FROM unnest($1::text[], $2::text[]) AS _ (original, normal)`, originals, normal)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var original, form, written string
		var length int
		var equal bool
		if err := rows.Scan(&original, &form, &written, &length, &equal); err != nil {
			t.Fatal(err)
		}
		if form != written || len(form) != length || length > audit.MaxDetailsBytes || !equal {
			t.Fatalf("%s\nhas the normal form of %d bytes\n%s\nPostgreSQL writes %d bytes\n%s\nand says that they are equal: %v", original, len(form), form, length, written, equal)
		}
		n++
	}
	if err := rows.Err(); err != nil || n != len(originals) {
		t.Fatalf("%d of %d rows, %v", n, len(originals), err)
	}
}

// requireChanged checks that PostgreSQL refuses the texts, or drops one of two equal keys
// or a sign.
func requireChanged(t *testing.T, pool *pgxpool.Pool, texts, reasons []string) {
	t.Helper()
	rows, err := pool.Query(t.Context(), `SELECT n - 1, try_jsonb(input)::text FROM unnest($1::text[]) WITH ORDINALITY AS _ (input, n)`, texts)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var i int
		var written *string
		if err := rows.Scan(&i, &written); err != nil {
			t.Fatal(err)
		}
		if written == nil {
			continue // refused
		}
		if diff := cmp.Diff(tokensOf(t, texts[i]), tokensOf(t, *written)); diff == "" {
			t.Fatalf("%s\nwas refused: %s\nbut PostgreSQL keeps it:\n%s", texts[i], reasons[i], *written)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

// tokensOf counts what jsonb may lose.
func tokensOf(t *testing.T, text string) map[string]int {
	t.Helper()
	counts := make(map[string]int)
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	for {
		token, err := decoder.Token()
		if err != nil {
			return counts
		}
		kind := fmt.Sprintf("%T", token)
		if number, ok := token.(json.Number); ok && strings.HasPrefix(number.String(), "-") {
			kind += " with a sign"
		}
		counts[kind]++
	}
}

// createTryJSONB creates a function that returns NULL if a text is no jsonb.
func createTryJSONB(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), `
		CREATE FUNCTION try_jsonb(input text) RETURNS jsonb LANGUAGE plpgsql AS
		$$ BEGIN RETURN input::jsonb; EXCEPTION WHEN data_exception OR program_limit_exceeded THEN RETURN NULL; END $$`); err != nil {
		t.Fatal(err)
	}
}

// randomDetails makes objects that are hard to bring into a normal form. Its texts are
// valid UTF-8 and valid JSON, but for a few.
type randomDetails struct {
	rand *rand.Rand
	out  strings.Builder
}

func (r *randomDetails) text() string {
	r.out.Reset()
	r.space()
	switch r.rand.IntN(400) {
	case 0:
		r.out.WriteString(`{"a":` + strings.Repeat(`[`, 28) + `{"b":`)
		r.value(30)
		r.out.WriteString(`}` + strings.Repeat(`]`, 28) + `}`)
	case 1:
		r.out.WriteString(`{"a":[` + strings.Repeat(`1e`+strconv.Itoa(r.rand.IntN(300))+`,`, 1+r.rand.IntN(100)) + `1]}`)
	default:
		r.object(1)
	}
	r.space()
	return r.out.String()
}

func (r *randomDetails) one(texts ...string) { r.out.WriteString(texts[r.rand.IntN(len(texts))]) }

func (r *randomDetails) space() {
	if r.rand.IntN(3) == 0 {
		r.one(" ", "\t", "\n", "\r", "  \n")
	}
}

func (r *randomDetails) value(depth int) {
	r.space()
	switch n := r.rand.IntN(10); {
	case n < 4:
		r.number()
	case n < 7:
		r.str(6)
	case n < 8:
		r.one("true", "false", "null")
	case n < 9 && depth < 40:
		r.object(depth + 1)
	case depth < 40:
		r.list('[', ']', r.rand.IntN(5), func() { r.value(depth + 1) })
	default:
		r.one("{}", "[]")
	}
	r.space()
}

func (r *randomDetails) object(depth int) {
	r.list('{', '}', r.rand.IntN(7), func() {
		r.space()
		r.str(4)
		r.space()
		r.out.WriteByte(':')
		r.value(depth)
	})
}

func (r *randomDetails) list(opening, closing byte, n int, element func()) {
	r.out.WriteByte(opening)
	for i := range n {
		if i > 0 {
			r.out.WriteByte(',')
		}
		element()
	}
	r.space()
	r.out.WriteByte(closing)
}

func (r *randomDetails) number() {
	switch r.rand.IntN(8) {
	case 0:
		r.one("0", "-0", "0.0", "0e5", "1", "-1", "10", "1.50", "1e3", "0.1", "5e-324", "1e400", "1e-400", "9007199254740993", "9007199254740992", "1e21", "1e+22", "123456789012345680000",
			"1.7976931348623157e308", "2.2250738585072014E-308", "0.1000000000000000055511151231257827", "12345678901234567890", "999999999999999", "1000000000000000", "0.000001", "1e-7", "-0.0", "100.00e-2")
	case 1, 2:
		r.out.WriteString(strconv.FormatInt(r.rand.Int64N(1<<r.rand.IntN(56)+1), 10))
	case 3, 4:
		r.out.WriteString(strconv.FormatFloat(r.rand.NormFloat64(), "efg"[r.rand.IntN(3)], -1, 64))
	case 5:
		r.out.WriteString(strconv.FormatFloat((r.rand.Float64()-0.5)*1e5, 'f', r.rand.IntN(6), 64))
	case 6:
		fmt.Fprintf(&r.out, "%d.%d00e%d", r.rand.IntN(3), r.rand.IntN(100), r.rand.IntN(640)-320)
	default:
		fmt.Fprintf(&r.out, "-%d%c%d", 1+r.rand.IntN(20), "eE"[r.rand.IntN(2)], r.rand.IntN(40)-20)
	}
}

// str takes from few pieces, so that keys meet in length, in their first bytes and in
// other spellings.
func (r *randomDetails) str(pieces int) {
	r.out.WriteByte('"')
	for range r.rand.IntN(pieces) {
		switch n := r.rand.IntN(300); {
		case n == 0:
			r.one(`\u0000`, `\ud800`, `\udc00`, `\ud83d\u0041`, `\uDBFF\uD800`)
		case n < 80:
			r.one("a", "b", "aa", "z", "A", "0", "_", " ")
		case n < 140:
			r.one("é", "ß", "\u07ff", "\u0800", "\uffff", "\ufffd", "🚀", "\U0010ffff", "\u2028", "\u0301", "\ufeff", "\u200b")
		case n < 200:
			r.one(`\u0061`, `\u00e9`, `\u00E9`, `\ud83d\ude80`, `\uD83D\uDE80`, `\ufffd`, `\uffff`, `\u2028`, `\u007f`, `\u0020`)
		case n < 260:
			r.one(`\"`, `\\`, `\/`, `\b`, `\f`, `\n`, `\r`, `\t`, "/", "\x7f", "<", "&", `\\u0000`)
		default:
			fmt.Fprintf(&r.out, `\u00%02x`, 1+r.rand.IntN(0x7f))
		}
	}
	r.out.WriteByte('"')
}
