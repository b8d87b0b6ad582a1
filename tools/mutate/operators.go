package main

import (
	"go/ast"
	"go/token"
	"strconv"
)

// swaps returns the operators that an author could confuse with op.
func swaps(op token.Token) []token.Token {
	switch op {
	case token.EQL:
		return []token.Token{token.NEQ}
	case token.NEQ:
		return []token.Token{token.EQL}
	case token.LSS:
		return []token.Token{token.LEQ, token.GEQ}
	case token.LEQ:
		return []token.Token{token.LSS, token.GTR}
	case token.GTR:
		return []token.Token{token.GEQ, token.LEQ}
	case token.GEQ:
		return []token.Token{token.GTR, token.LSS}
	case token.LAND:
		return []token.Token{token.LOR}
	case token.LOR:
		return []token.Token{token.LAND}
	case token.ADD:
		return []token.Token{token.SUB}
	case token.SUB:
		return []token.Token{token.ADD}
	case token.MUL:
		return []token.Token{token.QUO}
	case token.QUO, token.REM:
		return []token.Token{token.MUL}
	case token.AND:
		return []token.Token{token.OR}
	case token.OR:
		return []token.Token{token.AND}
	case token.SHL:
		return []token.Token{token.SHR}
	case token.SHR:
		return []token.Token{token.SHL}
	default:
		return nil
	}
}

func (c *collector) visit(node ast.Node) {
	switch node := node.(type) {
	case *ast.BinaryExpr:
		for _, op := range swaps(node.Op) {
			end := node.OpPos + token.Pos(len(node.Op.String()))
			before := c.code(node)
			at := c.offset(node.OpPos) - c.offset(node.Pos())
			after := before[:at] + op.String() + before[at+len(node.Op.String()):]
			m := c.add(node.OpPos, end, op.String(), before, after)
			if isTruth(node.Op) {
				m.as(switchExpression, c.offset(node.Pos()), c.offset(node.End()), after)
			}
		}
	case *ast.UnaryExpr:
		if node.Op == token.NOT {
			c.replace(node, c.code(node.X), switchExpression)
		}
	case *ast.BasicLit:
		if n, err := strconv.ParseInt(node.Value, 0, 64); node.Kind == token.INT && err == nil {
			c.replace(node, strconv.FormatInt(n+1, 10), noSwitch)
		}
	case *ast.Ident:
		switch node.Name {
		case "true":
			c.replace(node, "false", switchExpression)
		case "false":
			c.replace(node, "true", switchExpression)
		}
	case *ast.IfStmt:
		c.condition(node.Cond)
	case *ast.ForStmt:
		if node.Cond != nil {
			m := c.add(node.Cond.Pos(), node.Cond.End(), "false && ("+c.code(node.Cond)+")", "for "+c.code(node.Cond), "for false")
			m.as(switchExpression, m.start, m.end, m.text)
		}
	case *ast.BlockStmt:
		c.statements(node.List)
	case *ast.CaseClause:
		c.clause(node.List, node.Body)
	case *ast.CommClause:
		c.statements(node.Body)
	case *ast.CompositeLit:
		c.elements(node)
	}
}

// condition makes a condition always and never true. Its own code stays, so that what
// it names is still used.
func (c *collector) condition(cond ast.Expr) {
	code := c.code(cond)
	for _, m := range []*mutant{
		c.add(cond.Pos(), cond.End(), "true || ("+code+")", "if "+code, "if true"),
		c.add(cond.Pos(), cond.End(), "false && ("+code+")", "if "+code, "if false"),
	} {
		m.as(switchExpression, m.start, m.end, m.text)
	}
}

// statements leaves each statement out that others can do without.
func (c *collector) statements(list []ast.Stmt) {
	for _, stmt := range list {
		switch stmt := stmt.(type) {
		case *ast.ExprStmt, *ast.IncDecStmt, *ast.DeferStmt, *ast.GoStmt, *ast.SendStmt, *ast.BranchStmt:
			c.replace(stmt, "", switchStatement)
		case *ast.AssignStmt:
			if stmt.Tok != token.DEFINE {
				c.replace(stmt, "", switchStatement)
			}
		}
	}
}

// clause removes a value of a case, or the body of the case.
func (c *collector) clause(list []ast.Expr, body []ast.Stmt) {
	c.statements(body)
	if len(list) > 1 {
		for i, value := range list {
			if i+1 < len(list) {
				c.add(value.Pos(), list[i+1].Pos(), "", "case "+c.code(value)+", …", "")
			} else {
				c.add(list[i-1].End(), value.End(), "", "case …, "+c.code(value), "")
			}
		}
	}
	if len(body) > 0 {
		before := string(c.source[c.offset(body[0].Pos()):c.offset(body[len(body)-1].End())])
		m := c.add(body[0].Pos(), body[len(body)-1].End(), "", "case: "+before, "")
		switch body[len(body)-1].(type) {
		case *ast.ReturnStmt, *ast.BranchStmt: // inside an if, the compiler would report a missing return
		default:
			m.as(switchStatement, m.start, m.end, "")
		}
	}
}

// elements leaves one element or field out at a time.
func (c *collector) elements(literal *ast.CompositeLit) {
	for i, element := range literal.Elts {
		end := element.End()
		if i+1 < len(literal.Elts) {
			end = literal.Elts[i+1].Pos()
		} else if i > 0 {
			c.add(literal.Elts[i-1].End(), end, "", c.code(element), "")
			continue
		}
		c.add(element.Pos(), end, "", c.code(element), "")
	}
}

// isTruth reports that the value of the operator is true or false.
func isTruth(op token.Token) bool {
	switch op {
	case token.EQL, token.NEQ, token.LSS, token.LEQ, token.GTR, token.GEQ, token.LAND, token.LOR:
		return true
	default:
		return false
	}
}
