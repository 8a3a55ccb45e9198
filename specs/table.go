package specs

// A Table arranges the results of one stage in rows and columns.
type Table struct {
	Name    string
	Of      string // the stage
	Rows    []string
	Columns []string
	Values  []Heading
	Average []Heading
	Bold    string // "max", "min" or ""
	Place   Place
}

// A Heading is a named expression of a table. Its name is "" where the table has only one value and gives no name.
type Heading struct {
	Name  string
	Text  string
	Place Place
}

// A Study says which points to compare.
type Study struct {
	Name     string
	Of       string
	Around   string // "baseline"
	Vary     string // "one"
	Compare  string // an axis
	PairedBy []string
	Place    Place
}
