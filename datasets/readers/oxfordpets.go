package readers

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"regft/datasets"
)

func init() {
	datasets.Register("oxfordpets", splitFile{images: "images", file: "split_zhou_OxfordPets.json", fallback: petLists, format: "oxfordpets"})
}

// petLists reads annotations/trainval.txt and test.txt, whose lines are NAME CLASS SPECIES BREED.
func petLists(_ context.Context, t *tree) (splits, error) {
	trainval, err := t.listed("annotations/trainval.txt", petLine)
	if err != nil {
		return nil, err
	}
	test, err := t.listed("annotations/test.txt", petLine)
	if err != nil {
		return nil, err
	}
	return heldOut(trainval, test)
}

func petLine(line string) (item, error) {
	words := strings.Split(line, " ")
	if len(words) != 4 {
		return item{}, errors.New("want four words: name, class, species, breed")
	}
	number, err := strconv.Atoi(words[1])
	breed := strings.LastIndexByte(words[0], '_')
	if err != nil || number < 1 || number > mostClasses || breed < 0 {
		return item{}, errors.New("want a name such as Abyssinian_100 and a class from 1 on")
	}
	return item{"images/" + words[0] + ".jpg", number - 1, strings.ToLower(words[0][:breed])}, nil
}
