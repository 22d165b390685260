package schema_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/matomo-scim/bridge/scim/schema"
)

const stored = `{` + bothS + `,"id":"1","externalId":"x","meta":{"resourceType":"User","version":"W/\"1\""},"userName":"ada","active":true,` +
	`"name":{"givenName":"Ada","familyName":"King"},"emails":[{"value":"a@b","type":"work"},{"value":"c@d"}],"favourite":"red",` +
	`"` + entURN + `":{"department":"Eng","manager":{"value":"m","displayName":"M"}}}`

func TestProjection(t *testing.T) {
	const least = `{` + bothS + `,"id":"1"`
	for _, tc := range []struct {
		name                 string
		attributes, excluded []string
		want                 string
	}{
		{"nothing asked", nil, nil, stored},
		{"blank parameters count as not given", []string{"", " ,"}, []string{""}, stored},
		{"R03 one attribute", []string{"userName"}, nil, least + `,"userName":"ada"}`},
		{"R03 id", []string{"id"}, nil, least + `}`},
		{"several in one value", []string{"userName, active", "externalId"}, nil, least + `,"userName":"ada","active":true,"externalId":"x"}`},
		{"R04 sub-attribute", []string{"name.familyName"}, nil, least + `,"name":{"familyName":"King"}}`},
		{"R04 sub-attribute of a list", []string{"emails.type"}, nil, least + `,"emails":[{"type":"work"}]}`},
		{"sub-attribute and the whole", []string{"name.familyName", "name"}, nil, least + `,"name":{"givenName":"Ada","familyName":"King"}}`},
		{"the whole and a sub-attribute", []string{"name", "name.familyName"}, nil, least + `,"name":{"givenName":"Ada","familyName":"King"}}`},
		{"two sub-attributes", []string{"name.familyName", "name.givenName"}, nil, least + `,"name":{"givenName":"Ada","familyName":"King"}}`},
		{"R05 core URN, any case", []string{"URN:ietf:params:scim:schemas:core:2.0:user:USERNAME"}, nil, least + `,"userName":"ada"}`},
		{"R05 extension attribute", []string{entURN + ":Department"}, nil, least + `,"` + entURN + `":{"department":"Eng"}}`},
		{"R05 extension sub-attribute", []string{entURN + ":manager.value"}, nil, least + `,"` + entURN + `":{"manager":{"value":"m"}}}`},
		{"R05 whole extension", []string{entURN}, nil, least + `,"` + entURN + `":{"department":"Eng","manager":{"value":"m","displayName":"M"}}}`},
		{"extension attribute without URN", []string{"department"}, nil, least + `,"` + entURN + `":{"department":"Eng"}}`},
		{"extension attribute and the whole", []string{entURN + ":department", entURN}, nil, least + `,"` + entURN + `":{"department":"Eng","manager":{"value":"m","displayName":"M"}}}`},
		{"whole core", []string{coreURN}, nil, least + `,"userName":"ada","active":true,"name":{"givenName":"Ada","familyName":"King"},"emails":[{"value":"a@b","type":"work"},{"value":"c@d"}]}`},
		{"R08 unknown names", []string{"nope", "x.y"}, nil, least + `}`},
		{"unknown attribute that was kept", []string{"FAVOURITE"}, nil, least + `,"favourite":"red"}`},
		{"C07 password", []string{"password"}, nil, least + `}`},
		{"attribute that is not there", []string{"title"}, nil, least + `}`},
		{
			"R06 excluded", nil,
			[]string{"emails", "name", "meta", "favourite", entURN},
			least + `,"externalId":"x","userName":"ada","active":true}`,
		},
		{"R06 id and schemas stay", nil, []string{"id", "schemas", "userName", "name", "emails", "meta", "externalId", "active", "favourite", entURN}, least + `}`},
		{
			"excluded sub-attributes", nil,
			[]string{"name.givenName", "emails.value", "meta", entURN + ":manager.displayName", "externalId", "favourite"},
			least + `,"userName":"ada","active":true,"name":{"familyName":"King"},"emails":[{"type":"work"}],"` + entURN + `":{"department":"Eng","manager":{"value":"m"}}}`,
		},
		{"both", []string{"name", "userName"}, []string{"name.givenName", "userName"}, least + `,"name":{"familyName":"King"}}`},
		{"all of an object excluded", []string{"name"}, []string{"name.givenName", "name.familyName"}, least + `}`},
		{"all of an extension excluded", []string{entURN}, []string{entURN + ":department", "manager"}, least + `}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			doc := decode(t, stored)
			got := schema.ParseProjection(schema.User(), tc.attributes, tc.excluded).Apply(doc)
			if diff := cmp.Diff(decode(t, tc.want), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if !schema.Equal(doc, decode(t, stored)) {
				t.Error("the document was changed")
			}
		})
	}
	t.Run("a password that got into a document never leaves it", func(t *testing.T) {
		got := schema.ParseProjection(schema.User(), nil, nil).Apply(schema.Document{"password": "x", "userName": "a"})
		if diff := cmp.Diff(schema.Document{"userName": "a"}, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestProjection_Returned(t *testing.T) {
	const id = "urn:example:custom:1.0:User"
	doc := decode(t, `{"id":"1","`+id+`":{"badge":"b","notes":"n","pin":"p","tags":["x"],"desk":{"room":"7","phone":"9"},"other":1}}`)
	for _, tc := range []struct {
		name       string
		attributes []string
		want       string
	}{
		{"default", nil, `{"badge":"b","tags":["x"],"desk":{"room":"7"},"other":1}`},
		{"asked by name", []string{id + ":notes", id + ":pin"}, `{"notes":"n"}`},
		{"sub-attribute asked by name", []string{id + ":desk.phone"}, `{"desk":{"phone":"9"}}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := schema.ParseProjection(customUser(t), tc.attributes, nil).Apply(doc)
			if diff := cmp.Diff(decode(t, `{"id":"1","`+id+`":`+tc.want+`}`), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestProjection_Wants(t *testing.T) {
	for _, tc := range []struct {
		attributes, excluded, name string
		want                       bool
	}{
		{"", "", "members", true},
		{"", "members", "members", false},
		{"", "MEMBERS", "members", false},
		{"", "members.display", "members", true},
		{"displayName", "", "members", false},
		{"members", "", "members", true},
		{"members.value", "", "members", true},
		{"members.value", "members", "members", false},
		{"nope", "", "members", false},
		{schema.GroupURN + ":members", "", "members", true},
		{schema.GroupURN, "", "members", true},
		{"displayName", "", "id", true},
		{"", "id", "id", true},
		{"", "", "kept", true},
		{"kept", "", "KEPT", true},
		{"other", "", "kept", false},
		{"", "kept", "kept", false},
	} {
		p := schema.ParseProjection(schema.Group(), []string{tc.attributes}, []string{tc.excluded})
		if got := p.Wants(tc.name); got != tc.want {
			t.Errorf("attributes=%s&excludedAttributes=%s: Wants(%s) = %v", tc.attributes, tc.excluded, tc.name, got)
		}
		if given := tc.attributes != "" || tc.excluded != ""; p.Given() != given {
			t.Errorf("attributes=%s&excludedAttributes=%s: Given() = %v", tc.attributes, tc.excluded, p.Given())
		}
	}
	for name, want := range map[string]bool{entURN: true, entURN + ":department": true, "manager": false, "userName": false, "password": false} {
		if got := schema.ParseProjection(schema.User(), []string{entURN + ":department", "password"}, nil).Wants(name); got != want {
			t.Errorf("Wants(%s) = %v", name, got)
		}
	}
	t.Run("zero value", func(t *testing.T) {
		var p schema.Projection
		doc := decode(t, stored)
		if !p.Wants("members") || p.Given() || !schema.Equal(p.Apply(doc), doc) {
			t.Error("the zero value hides something")
		}
	})
}
