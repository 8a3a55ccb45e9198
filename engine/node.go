package engine

import (
	"slices"
	"strconv"

	"regft/cache"
	"regft/specs"
	"regft/stages"
)

// A Node is one distinct piece of work: instances of the same type, parameters and inputs are one node. A stage with
// an each:"node" parameter has one for each artifact of that list.
type Node struct {
	Index  int // in plan order: producers come first
	Type   *stages.Type
	State  State
	Reason string // of State, in a word

	Recipe cache.RecipeID
	Action cache.ActionID // zero until the content of all inputs is known
	Key    string         // the text that Action is the digest of
	Result *cache.Result  // nil until there is one

	runner    stages.Runner // inputs without artifacts
	inputs    []input
	own       []string // lines of the key that no input changes
	members   string   // of gathered lists, that a condition may leave out
	alike     *Node    // another of the same recipe and other members
	sources   *sources
	users     []use
	takes     []*Node       // whose content it takes, each once
	takers    []*Node       // who take its content
	producers []*Node       // takes, and those that its conditions read
	consumers []*Node       // takers, and those whose conditions read it
	level     int           // 1 + the highest of the producers
	before    *cache.Result // that the plan found, while the run looks again
	found     bool          // Result was there before the run
	stirred   bool          // something that it needs may come out otherwise
	recorded  bool          // its recipe stood for an action before
	demanded  bool          // the run needs its result
	whole     bool          // the content of Result was seen to be there
	broken    bool          // of the content of Result something is missing or was damaged
	lists     []list        // of the outputs of Result
}

// An input is one artifact that a node takes.
type input struct {
	field  *stages.Field
	label  string // in keys: data, from[3], inputs["src"][0]
	key    string // in a mapping
	coords []stages.Coord
	member *instance // that the spec names: its fate decides
	from   *instance // whose nodes give it: member, or what member is a copy of
	output string
}

// gathered says that the input is one of a list made by gather: a skipped member is left out of it.
func (in input) gathered() bool { return len(in.coords) > 0 && in.field.List() }

// open says that a condition may still leave in out of its list.
func (in input) open() bool {
	return in.gathered() && in.member != nil && !in.member.whenever && in.member.fate == undecided
}

// instance is an instance of the spec with what the engine knows of it.
type instance struct {
	*specs.Instance
	parts      []part      // one, or one for each artifact of an each:"node" parameter
	conditions []*instance // whose outcomes When and Assert read
	copyOf     *instance   // whose nodes these are: an ensemble at alpha 0 is its parent
	copyOutput string
	copies     []*instance // whose copyOf is this
	whenever   bool        // always wanted: neither it nor anything below it has a condition
	split      bool        // has an each:"node" parameter
	needed     bool        // by a leaf, a table or a study
	root       bool        // what the run is for
	only       int         // … of it the part with this number, from 1; 0: all
	condition  fate        // what When says: wanted, and as a fate, else
	fate       fate        // of all parts together
	problem    string      // why it failed
	reported   bool        // the problem is an event
	judged     int         // the last Plan.round in which it was
}

// part is one node of an instance.
type part struct {
	node   *Node
	inputs []input
	fate   fate
}

// A use is the part of an instance that a node is.
type use struct {
	*instance
	index int
}

func (u use) part() *part { return &u.parts[u.index] }

// namesake is the instance that n is called after: the first that something needs.
func (n *Node) namesake() use {
	if k := slices.IndexFunc(n.users, func(u use) bool { return u.needed }); k >= 0 {
		return n.users[k]
	}
	return n.users[0]
}

// Name is how a node is called: the address of its namesake, and the part if it has several.
func (n *Node) Name() string {
	u := n.namesake()
	if len(u.parts) < 2 {
		return u.Address()
	}
	return u.Address() + "." + u.label(u.index)
}

// Stage is that of the node's namesake.
func (n *Node) Stage() *specs.Stage { return n.namesake().Stage }

// label is the name of part p, its position where it has none.
func (i *instance) label(p int) string {
	if p < len(i.Parts) {
		return i.Parts[p]
	}
	return strconv.Itoa(p)
}

// label names inputs for a key. A position is given where the stage can tell it: in lists, and in mappings where
// several stand under one name or a list of one was gathered.
// element gives the label of a list's element.
func label(inputs []input, element func(list string, index int) string) {
	if !slices.ContainsFunc(inputs, func(in input) bool { return in.field.Map }) {
		labelPlain(inputs, element)
		return
	}
	total, seen := map[string]int{}, map[string]int{}
	for i := range inputs {
		in := &inputs[i]
		in.label = in.field.Name
		if in.field.Map {
			in.label += "[" + stages.CanonicalJSON(in.key) + "]"
		}
		total[in.label]++
	}
	for i := range inputs {
		in := &inputs[i]
		name := in.label
		if in.field.List() && (!in.field.Map || total[name] > 1 || len(in.coords) > 0) {
			in.label = element(name, seen[name])
		}
		seen[name]++
	}
}

// labelPlain labels inputs none of which are of a mapping. Those of one parameter stand together.
func labelPlain(inputs []input, element func(list string, index int) string) {
	index := 0
	for i := range inputs {
		in := &inputs[i]
		if i > 0 && in.field != inputs[i-1].field {
			index = 0
		}
		in.label = in.field.Name
		if in.field.List() {
			in.label = element(in.label, index)
		}
		index++
	}
}

// elementLabel is the label of a list's element.
func elementLabel(list string, index int) string { return list + "[" + strconv.Itoa(index) + "]" }

// open says that the fate of one of n's instances is not known.
func (n *Node) open() bool {
	return slices.ContainsFunc(n.users, func(u use) bool { return u.part().fate == undecided })
}

// wanted says that an instance of n wants it.
func (n *Node) wanted() bool {
	return slices.ContainsFunc(n.users, func(u use) bool { return u.part().fate == wanted })
}
