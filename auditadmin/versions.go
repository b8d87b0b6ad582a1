package auditadmin

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/auditadmin/internal/catalog"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
)

// checkVersions compares the version table with the migrations of this program.
func (i *inspection) checkVersions(ctx context.Context, tx pgx.Tx, trail catalog.Place, described catalog.Schema) error {
	d := Difference{Object: "table " + trail.Quoted + "." + auditmigrate.VersionTable, Severity: Error, Want: "versions " + list(described.Versions), Got: "missing", Repair: "migrate up"}
	var versions []int64
	if slices.Contains(trail.Tables, auditmigrate.VersionTable) {
		var why string
		err := attempt(ctx, tx, func(tx pgx.Tx) (err error) {
			versions, err = catalog.Versions(ctx, tx, trail.Quoted)
			return err
		}, &why)
		if err != nil {
			return err
		}
		if why != "" {
			i.versions = unreadable
			d.Severity, d.Got, d.Repair = Unchecked, "cannot be checked: "+why, fmt.Sprintf("GRANT SELECT ON %s.%s TO %s;", trail.Quoted, auditmigrate.VersionTable, i.database.Role)
			i.add(d)
			return nil
		}
		d.Got = "versions " + list(versions)
	}
	var missing []int64
	for _, version := range described.Versions {
		if !slices.Contains(versions, version) {
			missing = append(missing, version)
		}
	}
	switch {
	case len(versions) == 0:
		i.versions = unversioned
		if d.Got != "missing" {
			d.Got = "no version"
		}
		i.add(d)
	case len(missing) > 0:
		i.versions = behind
		i.add(d)
	case slices.Max(versions) > slices.Max(described.Versions):
		i.versions = ahead
	default:
		i.versions = current
	}
	return nil
}

func list(versions []int64) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(versions), " ", ", "), "[]")
}
