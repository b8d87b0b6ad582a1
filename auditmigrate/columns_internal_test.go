package auditmigrate

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The grants of a writer and of a sealer must cover exactly the columns that the drivers write. Its INSERTs
// come from queries/. Its COPY runs with these grants in TestWriterGrants.
func TestContentColumnsAreWritten(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../queries/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, insert := range regexp.MustCompile(`INSERT INTO (\w+) \(([^)]*)\)`).FindAllStringSubmatch(string(text), -1) {
			table, written := insert[1], strings.Fields(strings.ReplaceAll(insert[2], ",", " "))
			found[table]++
			granted := contentColumns(table)
			slices.Sort(written)
			slices.Sort(granted)
			if diff := cmp.Diff(granted, written); diff != "" {
				t.Errorf("%s: columns of %s (-granted +written):\n%s", filepath.Base(file), table, diff)
			}
		}
	}
	if diff := cmp.Diff(map[string]int{recordsTable: 2, gapsTable: 1, statementsTable: 1, sealTilesTable: 1, sealCheckpointsTable: 1, sealEventsTable: 1, sealLeavesTable: 2}, found); diff != "" {
		t.Errorf("INSERTs by table (-want +got):\n%s", diff)
	}
}
