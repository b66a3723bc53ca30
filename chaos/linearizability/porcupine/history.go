package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sort"

	"github.com/anishathalye/porcupine"
)

const numbersMax = 1 << 24 // what a state has room for

type history struct {
	Stock      int          `json:"stock"`
	Operations []*operation `json:"operations"`
}

// Read a history, number its operations, and find for each which hold it names.
func read(path string) (*history, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var found history
	decoder := json.NewDecoder(file)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&found); err != nil {
		return nil, fmt.Errorf("%s is not a history: %v", path, err)
	}
	if len(found.Operations) > numbersMax {
		return nil, fmt.Errorf("%s has more than %d operations", path, numbersMax)
	}
	if err := found.number(); err != nil {
		return nil, fmt.Errorf("%s: %v", path, err)
	}
	return &found, nil
}

func (h *history) number() error {
	holds := map[string]*operation{}
	for number, op := range h.Operations {
		op.number = number
		if (op.Return == nil) != (op.Answer == "") {
			return fmt.Errorf("operation %d has a return and no answer, or an answer and no return", number)
		}
		if op.Return != nil && *op.Return < op.Call {
			return fmt.Errorf("operation %d returned before it was called", number)
		}
		if op.Kind == "hold" && op.Hold != "" {
			if other, ok := holds[op.Hold]; ok {
				return fmt.Errorf("operations %d and %d were given one hold", other.number, number)
			}
			holds[op.Hold] = op
		}
	}
	for number, op := range h.Operations {
		switch op.Kind {
		case "hold":
		case "release", "order", "read":
			if op.placed = holds[op.Hold]; op.placed == nil || op.placed.Sale != op.Sale {
				return fmt.Errorf("operation %d names a hold that nobody was given in its sale", number)
			}
		default:
			return fmt.Errorf("operation %d is of no known kind: %q", number, op.Kind)
		}
	}
	return nil
}

// Take the history apart: two operations belong together if one after the other they come upon one
// seat, or one stock. A history is linearizable if and only if each of its parts is.
func (h *history) parts() [][]*operation {
	above := map[string]string{}
	var find func(string) string
	find = func(unit string) string {
		up, ok := above[unit]
		if !ok || up == unit {
			above[unit] = unit
			return unit
		}
		above[unit] = find(up)
		return above[unit]
	}
	for _, op := range h.Operations {
		units := unitsOf(op)
		for _, unit := range units {
			above[find(unit)] = find(units[0])
		}
	}
	parts := map[string][]*operation{}
	for _, op := range h.Operations {
		root := find(unitsOf(op)[0])
		parts[root] = append(parts[root], op)
	}
	roots := make([]string, 0, len(parts))
	for root := range parts {
		roots = append(roots, root)
	}
	sort.Strings(roots)
	inOrder := make([][]*operation, 0, len(roots))
	for _, root := range roots {
		inOrder = append(inOrder, parts[root])
	}
	return inOrder
}

func unitsOf(op *operation) []string {
	if op.placed != nil {
		op = op.placed
	}
	units := []string{}
	for _, seat := range op.Seats {
		units = append(units, fmt.Sprintf("%d seat %d", op.Sale, seat))
	}
	if op.Standing > 0 || len(units) == 0 {
		units = append(units, fmt.Sprintf("%d standing", op.Sale))
	}
	return units
}

// What porcupine is given: an operation without an answer ends after all others, and clients are
// numbered one after the other, since a picture has a row for each number.
func asked(part []*operation) []porcupine.Operation {
	var last int64
	for _, op := range part {
		if op.Call > last {
			last = op.Call
		}
		if op.Return != nil && *op.Return > last {
			last = *op.Return
		}
	}
	operations := make([]porcupine.Operation, 0, len(part))
	rows := map[int]int{}
	for _, op := range part {
		if _, ok := rows[op.Client]; !ok {
			rows[op.Client] = len(rows)
		}
		ends := last + 1
		if op.Return != nil {
			ends = *op.Return
		}
		operations = append(operations, porcupine.Operation{
			ClientId: rows[op.Client], Input: op, Call: op.Call, Output: op.Answer, Return: ends,
		})
	}
	return operations
}

// What was known at a moment: what came later is left out, and what was under way has no answer yet.
func until(part []*operation, moment int64) []*operation {
	var known []*operation
	for _, op := range part {
		if op.Call > moment {
			continue
		}
		if op.Return == nil || *op.Return <= moment {
			known = append(known, op)
		} else if op.Kind != "read" {
			pending := *op
			pending.Return, pending.Answer, pending.Taken = nil, "", nil
			known = append(known, &pending)
		}
	}
	return known
}
