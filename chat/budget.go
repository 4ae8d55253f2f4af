package chat

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
)

// Budget is the most tokens that a picture may become: one of [Budgets], 0 for what is usual, or [AutoBudget]. More tokens show smaller
// things and take longer to read. As text it is a number, low, medium, high or auto.
type Budget int

const (
	// AutoBudget is the smallest of the budgets that shows all pixels of a picture.
	AutoBudget Budget = -1

	LowBudget    Budget = 70   // enough for what is in a picture; each frame of a video has it, unless another is given
	MediumBudget Budget = 280  // of a picture, unless another is given
	HighBudget   Budget = 1120 // for small writing
)

// Budgets returns those that the models were made for, ascending.
func Budgets() []Budget { return []Budget{70, 140, 280, 560, 1120} }

var budgetNames = []struct {
	name   string
	budget Budget
}{{"", 0}, {"auto", AutoBudget}, {"low", LowBudget}, {"medium", MediumBudget}, {"high", HighBudget}}

// String returns auto, a number, or nothing for 0.
func (b Budget) String() string {
	switch b {
	case 0:
		return ""
	case AutoBudget:
		return "auto"
	}
	return strconv.Itoa(int(b))
}

// Validate returns an error for a number that is none of the budgets.
func (b Budget) Validate() error {
	if b != 0 && b != AutoBudget && !slices.Contains(Budgets(), b) {
		return fmt.Errorf("a budget of %d tokens, expected one of %v, or auto", int(b), Budgets())
	}
	return nil
}

// MarshalText returns what String does.
func (b Budget) MarshalText() ([]byte, error) { return []byte(b.String()), b.Validate() }

// UnmarshalText accepts a number or a name, so that a Budget can be a flag ([flag.TextVar]).
func (b *Budget) UnmarshalText(text []byte) error {
	for _, n := range budgetNames {
		if n.name == string(text) {
			*b = n.budget
			return nil
		}
	}
	n, err := strconv.Atoi(string(text))
	if err != nil || n < 1 || Budget(n).Validate() != nil {
		return fmt.Errorf("unknown budget %.40q, expected one of %v, or low, medium, high or auto", text, Budgets())
	}
	*b = Budget(n)
	return nil
}

// MarshalJSON writes a number, or auto.
func (b Budget) MarshalJSON() ([]byte, error) {
	if b > 0 {
		return []byte(strconv.Itoa(int(b))), b.Validate()
	}
	return json.Marshal(b.String())
}

// UnmarshalJSON reads a number or a name.
func (b *Budget) UnmarshalJSON(data []byte) error {
	var name string
	if json.Unmarshal(data, &name) != nil {
		name = string(data)
	}
	return b.UnmarshalText([]byte(name))
}

// Wanted returns the budget of the part: its Budget, or what its Detail stands for.
func (p Part) Wanted() Budget {
	if p.Budget != 0 {
		return p.Budget
	}
	switch p.Detail {
	case "low":
		return LowBudget
	case "high":
		return HighBudget
	case "auto":
		return AutoBudget
	}
	return 0
}
