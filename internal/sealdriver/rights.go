package sealdriver

import (
	"context"

	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
)

// Role is what a connection is for, by the names of migrate grants. The next step of a refusal
// names it.
type Role string

// The roles.
const (
	Reader  Role = "reader"
	Sealer  Role = "sealer"
	Expirer Role = "expirer"
	Eraser  Role = "eraser"
	Holder  Role = "holder"
	Owner   Role = "owner" // of the trail, whom no one has to grant anything
)

func (r Role) needs(privileges string) auditdriver.Rights {
	switch r {
	case Reader:
		return auditdriver.ReaderRights()
	case Owner:
		return auditdriver.Rights{Instead: "connect as the owner of the trail"}
	default:
		return auditdriver.Rights{Privileges: privileges, Command: "migrate grants --" + string(r) + " ROLE --apply"}
	}
}

// readFailure classifies the error of a statement that reads.
func (c *Conn) readFailure(ctx context.Context, err error) error {
	return auditdriver.FailureWith(ctx, err, c.role.needs("SELECT"))
}

// storeFailure classifies the error of a statement that stores, after its transaction was rolled
// back.
func (c *Conn) storeFailure(ctx context.Context, err error) error {
	return auditdriver.FailureWith(ctx, err, c.role.needs("INSERT and SELECT"))
}
