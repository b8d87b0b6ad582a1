package expiry_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
)

// The CHECK of the events takes what PostgreSQL reads as a multirange and prints in the same way, and
// nothing else.
func TestMultirangeIsWhatPostgreSQLPrints(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	random := rand.New(rand.NewPCG(3, 4)) // the same texts each time
	texts := []string{
		"", "{", "{}", "{}}", "{[1,2)}", "{[0,1)}", "{[0,0)}", "{[-1,2)}", "{[+1,2)}", "{[1,9223372036854775807)}", "{[1,9223372036854775808)}",
		"{[1,2),}", "{,[1,2)}", "{ [1,2)}", "{[1,2)}\n", "{[1,2)[3,400)}", "{(1,2)}", "{[1,2]}", "{[1,)}", "{[,2)}", "{empty}",
	}
	for range 500 {
		texts = append(texts, randomMultirange(random))
	}
	printed := 0
	for _, text := range texts {
		want := isTrue(t, tr.db.Pool, `SELECT $1::text::int8multirange::text = $1 AND $1 ~ '^\{(\[[0-9]+,[0-9]+\)(,\[[0-9]+,[0-9]+\))*)?\}$'`, text)
		if want {
			printed++
		}
		if got := isTrue(t, tr.db.Pool, `SELECT coordination_audit_are_multiranges(jsonb_build_array('{[1,2),[4,5)}', $1::text))`, text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
	if printed < 100 || printed > len(texts)-100 {
		t.Errorf("%d of %d texts are multiranges", printed, len(texts))
	}
}

// isTrue is false also where the statement fails.
func isTrue(t *testing.T, pool *pgxpool.Pool, sql, text string) (is bool) {
	t.Helper()
	if err := pool.QueryRow(t.Context(), sql, text).Scan(&is); err != nil && stateOf(err) == "" {
		t.Fatal(err)
	}
	return is
}

// randomMultirange has ranges that mostly ascend.
func randomMultirange(random *rand.Rand) string {
	parts, last := make([]string, 1+random.IntN(4)), int64(0)
	for i := range parts {
		first := last + random.Int64N(40) - 1
		last = first + random.Int64N(20) - 1
		if random.IntN(2) == 0 { // a usual one
			first, last = max(first, 0)+3, max(first, 0)+9
		}
		parts[i] = fmt.Sprintf("[%d,%d)", first, last)
		if random.IntN(30) == 0 {
			parts[i] = fmt.Sprintf("[0%d,%d)", first, last)
		}
	}
	return "{" + strings.Join(parts, ",") + "}"
}
