package term

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTableByCells(t *testing.T) {
	t.Parallel()
	table := Table{Columns: []Column{NumberColumn("TIMES"), IDColumn("ENVELOPE"), TextColumn("CLASS"), ProseColumn("REASON")}}
	table.Add(Count(3), Plain("温度制御"), Plain("COST"), Plain("too 熱い"))
	table.Add(Count(12_000), Plain("cooling"), Plain("SAFETY"), Plain(""))
	for name, test := range map[string]struct {
		columns int
		want    string
	}{
		"pipe": {0, `
 TIMES  ENVELOPE  CLASS   REASON
     3  温度制御  COST    too 熱い
12,000  cooling   SAFETY
`},
		"exact": {34, `
 TIMES  ENVELOPE  CLASS   REASON
     3  温度制御  COST    too 熱い
12,000  cooling   SAFETY
`},
		"below": {26, `
 TIMES  ENVELOPE  CLASS
    REASON
     3  温度制御  COST
    too 熱い
12,000  cooling   SAFETY
`},
	} {
		got := table.Text(Screen{Columns: test.columns})
		if diff := cmp.Diff(strings.TrimPrefix(test.want, "\n"), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A table fits every width, and no column vanishes.
func TestTableFitsEveryWidth(t *testing.T) {
	t.Parallel()
	const id = "11111111-1111-4111-8111-000000000001"
	table := Table{Columns: []Column{
		NumberColumn("TIMES"), IDColumn("TENANT"), IDColumn("ENVELOPE"), TextColumn("LAST (UTC)"), ProseColumn("PREEMPTED BY"), TextColumn("NEWEST"), NumberColumn("SHARE"),
	}}
	table.Add(Count(1), Plain("acme"), Plain(strings.Repeat("温度", 60)), Plain("2026-01-05 12:00:00"), Plain(strings.Repeat("7 × guard, ", 30)), Plain(id), Plain("1.0%"))
	table.Add(Count(999_999), Plain(strings.Repeat("e\u0301", 90)), Plain("b"), Plain(""), Plain(""), Plain(""), Plain(""))
	for columns := MinColumns; columns < 300; columns++ {
		got := table.Text(Screen{Columns: columns})
		for line := range strings.Lines(got) {
			line = strings.TrimSuffix(line, "\n")
			if Cells(line) > columns || strings.TrimRight(line, " ") != line || line == "" {
				t.Fatalf("%d columns: %q", columns, line)
			}
		}
		for _, part := range []string{"acme", "温", "2026-01-05 12:00:00", "guard", id, "1.0%", "999,999", "NEWEST", "SHARE"} {
			if !strings.Contains(got, part) {
				t.Fatalf("%d columns: %q is missing:\n%s", columns, part, got)
			}
		}
	}
}
