//! Replies held against the OpenAPI document. Stricter than it: a field that it does not name is a fault here.

use serde_json::{Map, Value, json};

/// The served document.
pub(crate) struct Contract(Value);

impl Contract {
    pub(crate) fn new(mut document: Value) -> Self {
        for schema in document["components"]["schemas"].as_object_mut().unwrap().values_mut() {
            close(schema);
        }
        Self(document)
    }

    /// Every path with its methods.
    pub(crate) fn operations(&self) -> Vec<(String, String)> {
        let of = |(path, item): (&String, &Value)| {
            let methods: Vec<_> = item.as_object().unwrap().keys().cloned().collect();
            methods.into_iter().map(|method| (method.to_uppercase(), path.clone())).collect::<Vec<_>>()
        };
        self.paths().iter().flat_map(of).collect()
    }

    /// Panics unless the document has this reply for this request.
    #[track_caller]
    pub(crate) fn check(&self, method: &str, path: &str, status: u16, content_type: &str, body: &[u8]) {
        let path = path.split('?').next().unwrap();
        let Some(item) = self.item(path) else { return self.check_problem(status, body) };
        let Some(operation) = item.get(method.to_lowercase()) else {
            return self.check_problem(status, body);
        };
        let reply = &operation["responses"][status.to_string()];
        assert!(!reply.is_null(), "{method} {path}: {status} is not in the contract");
        let reply = match reply["$ref"].as_str() {
            Some(_) => &self.0["components"]["responses"]["Problem"],
            None => reply,
        };
        let Some(contents) = reply.get("content") else { return assert!(body.is_empty()) };
        let essence = content_type.split(';').next().unwrap();
        let content = &contents[essence];
        assert!(!content.is_null(), "{method} {path}: {essence} is not in the contract");
        if essence.ends_with("json") {
            self.check_schema(&content["schema"], body);
        }
    }

    #[track_caller]
    fn check_problem(&self, status: u16, body: &[u8]) {
        assert!(status >= 400, "a reply that is not in the contract");
        self.check_schema(&json!({"$ref": "#/components/schemas/Problem"}), body);
    }

    #[track_caller]
    fn check_schema(&self, schema: &Value, body: &[u8]) {
        let mut schema = schema.clone();
        schema["components"] = self.0["components"].clone();
        let value: Value = serde_json::from_slice(body).expect("JSON");
        let faults: Vec<_> = jsonschema::draft202012::new(&schema)
            .expect("a schema")
            .iter_errors(&value)
            .map(|fault| format!("{}: {fault}", fault.instance_path()))
            .collect();
        assert!(faults.is_empty(), "{faults:#?}\n{value:#}");
    }

    fn paths(&self) -> &Map<String, Value> {
        self.0["paths"].as_object().unwrap()
    }

    /// The path's item; a literal path goes before one with a parameter.
    fn item(&self, path: &str) -> Option<&Value> {
        let fits = |template: &str| {
            template.split('/').count() == path.split('/').count()
                && template.split('/').zip(path.split('/')).all(|(t, p)| t.starts_with('{') || t == p)
        };
        let found = self.paths().iter().find(|(template, _)| fits(template));
        self.paths().get(path).or(found.map(|(_, item)| item))
    }
}

/// Lets no object of the schema have fields that it does not name.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.contains_key("properties") && !map.contains_key("additionalProperties") {
                map.insert("additionalProperties".to_owned(), json!(false));
            }
            map.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}
