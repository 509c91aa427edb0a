//! Reading: text → documents → tree of values, with the place of each field.
//!
//! Reads what go-yaml v2 reads, and means the same by it; the rules for splitting are those of apimachinery's
//! `YAMLReader`. Differences, all on purpose: documents without content are skipped, merge keys never override keys
//! written out, and content after a `...` line is an error instead of being dropped.

use std::collections::{BTreeMap, HashMap};

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};
use serde_json::{Map, Value};

use crate::error::{ErrorKind, YamlError};
use crate::scalar::{Scalar, format_float, resolve};

/// Levels of nesting; the deepest Kubernetes object known needs about 20, and `serde_json` itself stops at 128.
const MAX_DEPTH: usize = 100;

/// Nodes that aliases may add to one document. A legitimate use repeats a few blocks; the attack needs millions.
const MAX_ALIASED_NODES: usize = 10_000;

/// A place in a text; both numbers count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// A mapping key that occurs twice; the last value counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicate {
    /// The path of the field, key included.
    pub path: String,
    /// The key as written.
    pub key: String,
    /// The line of the later occurrence.
    pub line: usize,
    /// The column of the later occurrence.
    pub column: usize,
}

/// One document of a YAML text.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The name of the text it came from, for messages.
    pub source_name: String,
    /// The line of the text on which the document starts (after its `---`), from 1.
    pub start_line: usize,
    /// The document as JSON would have it.
    pub value: Value,
    /// Field path (`networking.podSubnet`, `bootstrapTokens[0].ttl`) → place of its key, or of the list item. The root
    /// has the empty path.
    pub positions: BTreeMap<String, Position>,
    /// Keys given more than once, in the order of the text.
    pub duplicate_keys: Vec<Duplicate>,
    /// The lines of the document, for excerpts.
    lines: Vec<String>,
}

impl Document {
    /// The place of a field, or of the nearest field that contains it.
    pub fn position(&self, path: &str) -> Option<Position> {
        let mut path = path;
        loop {
            if let Some(position) = self.positions.get(path) {
                return Some(*position);
            }
            if path.is_empty() {
                return None;
            }
            path = &path[..path.rfind(['.', '[']).unwrap_or(0)];
        }
    }

    /// An error at the given field of this document.
    pub(crate) fn error_at(&self, path: &str, kind: ErrorKind) -> YamlError {
        self.error(self.position(path), kind)
    }

    fn error(&self, position: Option<Position>, kind: ErrorKind) -> YamlError {
        let index = position.and_then(|p| p.line.checked_sub(self.start_line));
        YamlError {
            source_name: self.source_name.clone(),
            position,
            line_text: index.and_then(|i| self.lines.get(i)).cloned().unwrap_or_default(),
            kind: Box::new(kind),
        }
    }
}

/// Reads all documents of a text, skipping those with nothing but blanks and comments.
///
/// `source_name` is used in messages only.
pub fn parse_documents(text: &str, source_name: &str) -> Result<Vec<Document>, YamlError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut documents = Vec::new();
    let mut chunk: Vec<String> = Vec::new();
    let mut start = 1;
    for (index, line) in text.lines().enumerate() {
        let Some(rest) = line.strip_prefix("---") else {
            chunk.push(line.to_owned());
            continue;
        };
        let rest = rest.trim();
        if !rest.is_empty() && !rest.starts_with('#') {
            return Err(YamlError {
                source_name: source_name.to_owned(),
                position: Some(Position { line: index + 1, column: 4 }),
                line_text: line.to_owned(),
                kind: Box::new(ErrorKind::Separator(rest.to_owned())),
            });
        }
        documents.extend(read_document(std::mem::take(&mut chunk), start, source_name)?);
        start = index + 2;
    }
    documents.extend(read_document(chunk, start, source_name)?);
    Ok(documents)
}

/// Reads a text that holds one document, such as a value of a ConfigMap; a text without content is null.
pub fn parse_value(text: &str, source_name: &str) -> Result<Value, YamlError> {
    let mut documents = parse_documents(text, source_name)?.into_iter();
    let first = documents.next();
    if let Some(second) = documents.next() {
        return Err(second.error_at("", ErrorKind::TrailingContent));
    }
    Ok(first.map_or(Value::Null, |d| d.value))
}

fn read_document(
    lines: Vec<String>,
    start_line: usize,
    source_name: &str,
) -> Result<Option<Document>, YamlError> {
    // Only these are blank in YAML: a no-break space is a text.
    let mut starts = lines.iter().map(|line| line.trim_start_matches([' ', '\t', '\r']));
    if starts.all(|start| start.is_empty() || start.starts_with('#')) {
        return Ok(None);
    }
    let mut text = lines.join("\n");
    text.push('\n');
    let mut document = Document {
        source_name: source_name.to_owned(),
        start_line,
        value: Value::Null,
        positions: BTreeMap::new(),
        duplicate_keys: Vec::new(),
        lines,
    };
    let mut nodes = Nodes::default();
    let result = nodes.read(&text).and_then(|root| {
        let Some(root) = root else { return Ok(false) };
        let mut builder = Builder { nodes: &nodes, document: &mut document, open: Vec::new(), aliased: 0 };
        let value = builder.value(root, "", 0)?;
        document.value = value;
        Ok(true)
    });
    // Places were counted within the document; make them count within the text.
    let offset = start_line - 1;
    for position in document.positions.values_mut() {
        position.line += offset;
    }
    for duplicate in &mut document.duplicate_keys {
        duplicate.line += offset;
    }
    match result {
        Ok(true) => Ok(Some(document)),
        Ok(false) => Ok(None),
        Err((position, kind)) => {
            let position = Position { line: position.line + offset, ..position };
            Err(document.error(Some(position), kind))
        }
    }
}

/// An error whose line counts from the start of the document.
type Fault = (Position, ErrorKind);

/// The nodes as written, aliases unresolved: an arena, since an alias may refer to any earlier node.
#[derive(Default)]
struct Nodes(Vec<Node>);

struct Node {
    position: Position,
    content: Content,
}

enum Content {
    Scalar { text: String, plain: bool, tag: Option<String> },
    List(Vec<usize>),
    Map(Vec<(usize, usize)>),
    Alias(usize),
}

impl Nodes {
    /// Reads the events of one document; `None` if there is no node at all.
    fn read(&mut self, text: &str) -> Result<Option<usize>, Fault> {
        let mut options = granit_parser::Options::default();
        options.set_emit_comments(false);
        options.block_nesting_limit = MAX_DEPTH + 1;
        options.flow_nesting_limit = MAX_DEPTH + 1;
        let mut anchors: HashMap<usize, usize> = HashMap::new();
        let mut open: Vec<(usize, Vec<usize>)> = Vec::new();
        let mut root = None;
        let mut documents = 0;
        for event in Parser::new_from_str_with_options(text, options) {
            let (event, span) = event.map_err(|e| syntax_fault(&e))?;
            let position = place(&span);
            let (content, anchor, opens) = match event {
                Event::DocumentStart(..) => {
                    documents += 1;
                    if documents > 1 {
                        return Err((position, ErrorKind::TrailingContent));
                    }
                    continue;
                }
                Event::Scalar(text, style, anchor, tag) => {
                    let tag = tag.map(|t| tag_name(&t));
                    let plain = style == ScalarStyle::Plain;
                    (Content::Scalar { text: text.into_owned(), plain, tag }, anchor, false)
                }
                Event::SequenceStart(_, anchor, _) => (Content::List(Vec::new()), anchor, true),
                Event::MappingStart(_, anchor, _) => (Content::Map(Vec::new()), anchor, true),
                Event::Alias(id) => match anchors.get(&id) {
                    Some(target) => (Content::Alias(*target), 0, false),
                    None => return Err((position, ErrorKind::Syntax("unknown anchor".to_owned()))),
                },
                Event::SequenceEnd | Event::MappingEnd => {
                    if let Some((index, children)) = open.pop() {
                        match &mut self.0[index].content {
                            Content::List(items) => *items = children,
                            Content::Map(pairs) => {
                                *pairs = children.chunks_exact(2).map(|c| (c[0], c[1])).collect()
                            }
                            Content::Scalar { .. } | Content::Alias(_) => {}
                        }
                    }
                    continue;
                }
                _ => continue,
            };
            let index = self.0.len();
            self.0.push(Node { position, content });
            if anchor != 0 {
                anchors.insert(anchor, index);
            }
            match open.last_mut() {
                Some((_, siblings)) => siblings.push(index),
                None => root = root.or(Some(index)),
            }
            if opens {
                if open.len() >= MAX_DEPTH {
                    return Err((position, ErrorKind::TooDeep(MAX_DEPTH)));
                }
                open.push((index, Vec::new()));
            }
        }
        Ok(root)
    }
}

/// Turns nodes into values, noting places and duplicates on the way.
struct Builder<'a> {
    nodes: &'a Nodes,
    document: &'a mut Document,
    /// The aliased nodes being expanded, outermost first.
    open: Vec<usize>,
    /// Nodes that came from aliases so far.
    aliased: usize,
}

impl Builder<'_> {
    fn value(&mut self, index: usize, path: &str, depth: usize) -> Result<Value, Fault> {
        let node = &self.nodes.0[index];
        let fault = |kind| (node.position, kind);
        if depth > MAX_DEPTH {
            return Err(fault(ErrorKind::TooDeep(MAX_DEPTH)));
        }
        self.spend(node.position)?;
        self.document.positions.entry(path.to_owned()).or_insert(node.position);
        match &node.content {
            Content::Scalar { text, plain, tag } => scalar_value(text, *plain, tag.as_deref()).map_err(fault),
            Content::List(items) => {
                let values = items.iter().enumerate();
                let values = values.map(|(i, item)| self.value(*item, &format!("{path}[{i}]"), depth + 1));
                Ok(Value::Array(values.collect::<Result<_, _>>()?))
            }
            Content::Map(pairs) => {
                let mut map = Map::new();
                self.entries(pairs, path, depth, &mut map)?;
                Ok(Value::Object(map))
            }
            Content::Alias(target) => {
                self.enter(*target, node.position)?;
                let value = self.value(*target, path, depth + 1);
                self.open.pop();
                value
            }
        }
    }

    /// Counts a node that an alias brought in.
    fn spend(&mut self, position: Position) -> Result<(), Fault> {
        self.aliased += usize::from(!self.open.is_empty());
        if self.aliased > MAX_ALIASED_NODES {
            return Err((position, ErrorKind::ExcessiveAliasing));
        }
        Ok(())
    }

    fn enter(&mut self, target: usize, position: Position) -> Result<(), Fault> {
        if self.open.contains(&target) {
            return Err((position, ErrorKind::SelfReference));
        }
        self.open.push(target);
        Ok(())
    }

    fn entries(
        &mut self,
        pairs: &[(usize, usize)],
        path: &str,
        depth: usize,
        map: &mut Map<String, Value>,
    ) -> Result<(), Fault> {
        for (key, value) in pairs {
            if self.is_merge(*key) {
                continue;
            }
            let position = self.nodes.0[*key].position;
            let key = self.key(*key)?;
            let path = join(path, &key);
            if map.contains_key(&key) {
                let Position { line, column } = position;
                self.document.duplicate_keys.push(Duplicate {
                    path: path.clone(),
                    key: key.clone(),
                    line,
                    column,
                });
                self.forget(&path);
            }
            self.document.positions.insert(path.clone(), position);
            let value = self.value(*value, &path, depth + 1)?;
            map.insert(key, value);
        }
        self.merges(pairs, path, depth, map)
    }

    fn merges(
        &mut self,
        pairs: &[(usize, usize)],
        path: &str,
        depth: usize,
        map: &mut Map<String, Value>,
    ) -> Result<(), Fault> {
        for (key, value) in pairs {
            if self.is_merge(*key) {
                self.merge(*value, path, depth, map, true)?;
            }
        }
        Ok(())
    }

    /// Removes the places below a field whose value is replaced.
    fn forget(&mut self, path: &str) {
        let below = |p: &str| p.strip_prefix(path).is_some_and(|r| r.starts_with(['.', '[']));
        self.document.positions.retain(|p, _| !below(p));
    }

    /// Adds the entries of a merged mapping that are not there yet; in a list of mappings the earlier ones count.
    fn merge(
        &mut self,
        index: usize,
        path: &str,
        depth: usize,
        map: &mut Map<String, Value>,
        list_allowed: bool,
    ) -> Result<(), Fault> {
        let node = &self.nodes.0[index];
        if depth > MAX_DEPTH {
            return Err((node.position, ErrorKind::TooDeep(MAX_DEPTH)));
        }
        self.spend(node.position)?;
        match &node.content {
            Content::Map(pairs) => {
                // Backwards, so that of equal keys the last one counts here too.
                for (key, value) in pairs.iter().rev() {
                    let position = self.nodes.0[*key].position;
                    if self.is_merge(*key) {
                        continue;
                    }
                    self.spend(position)?;
                    let key = self.key(*key)?;
                    if map.contains_key(&key) {
                        continue;
                    }
                    let path = join(path, &key);
                    self.document.positions.insert(path.clone(), position);
                    let value = self.value(*value, &path, depth + 1)?;
                    map.insert(key, value);
                }
                self.merges(pairs, path, depth + 1, map)
            }
            Content::Alias(target) => {
                self.enter(*target, node.position)?;
                let result = self.merge(*target, path, depth + 1, map, false);
                self.open.pop();
                result
            }
            Content::List(items) if list_allowed => {
                items.iter().try_for_each(|item| self.merge(*item, path, depth + 1, map, false))
            }
            Content::List(_) | Content::Scalar { .. } => Err((node.position, ErrorKind::Merge)),
        }
    }

    fn is_merge(&self, key: usize) -> bool {
        matches!(&self.nodes.0[key].content, Content::Scalar { text, plain: true, tag: None } if text == "<<")
    }

    /// A key as JSON has it: always a string.
    fn key(&self, index: usize) -> Result<String, Fault> {
        let node = &self.nodes.0[index];
        let fault = |kind| (node.position, kind);
        match &node.content {
            Content::Scalar { text, plain, tag } => {
                match scalar_value(text, *plain, tag.as_deref()).map_err(fault)? {
                    Value::String(s) => Ok(s),
                    Value::Bool(b) => Ok(b.to_string()),
                    Value::Number(n) if n.is_f64() => Ok(format_float(n.as_f64().unwrap_or_default(), true)),
                    Value::Number(n) => Ok(n.to_string()),
                    Value::Null => Err(fault(ErrorKind::MapKey("null"))),
                    Value::Array(_) | Value::Object(_) => Err(fault(ErrorKind::MapKey("a collection"))),
                }
            }
            Content::Alias(target) if !matches!(self.nodes.0[*target].content, Content::Alias(_)) => {
                self.key(*target)
            }
            Content::Alias(_) | Content::List(_) | Content::Map(_) => {
                Err(fault(ErrorKind::MapKey("a collection")))
            }
        }
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// The value of a scalar; quotes or the tag `!` make it a string, other tags must fit.
fn scalar_value(text: &str, plain: bool, tag: Option<&str>) -> Result<Value, ErrorKind> {
    let mismatch = |tag: &str| ErrorKind::Tag { tag: tag.to_owned(), text: text.to_owned() };
    let resolved = match tag {
        None if plain => resolve(text),
        None => Scalar::Str,
        Some("!!binary") => return Err(mismatch("!!binary")),
        Some("!!bool" | "!!int" | "!!float" | "!!null" | "!!timestamp") => resolve(text),
        Some(_) => Scalar::Str,
    };
    let fits = match (tag, &resolved) {
        (Some("!!bool"), found) => matches!(found, Scalar::Bool(_)),
        (Some("!!int"), found) => matches!(found, Scalar::Number(n) if !n.is_f64()),
        (Some("!!float"), found) => matches!(found, Scalar::Number(_) | Scalar::NonFinite),
        (Some("!!null"), found) => *found == Scalar::Null,
        (Some("!!timestamp"), found) => *found == Scalar::Timestamp,
        _ => true,
    };
    if !fits {
        return Err(mismatch(tag.unwrap_or_default()));
    }
    Ok(match resolved {
        Scalar::Null => Value::Null,
        Scalar::Bool(b) => Value::Bool(b),
        Scalar::Number(n) => Value::Number(n),
        Scalar::NonFinite => return Err(ErrorKind::NotANumber(text.to_owned())),
        Scalar::Timestamp | Scalar::Str => Value::String(text.to_owned()),
    })
}

fn tag_name(tag: &Tag) -> String {
    match tag.core_suffix() {
        Some(suffix) => format!("!!{suffix}"),
        None => {
            let full = format!("{}{}", tag.handle(), tag.suffix());
            match full.strip_prefix("tag:yaml.org,2002:") {
                Some(suffix) => format!("!!{suffix}"),
                None => full,
            }
        }
    }
}

fn place(span: &Span) -> Position {
    Position { line: span.start.line().max(1), column: span.start.col() + 1 }
}

fn syntax_fault(error: &ScanError) -> Fault {
    let marker = error.marker();
    let position = Position { line: marker.line().max(1), column: marker.col() + 1 };
    (position, ErrorKind::Syntax(error.info()))
}
