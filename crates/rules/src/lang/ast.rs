//! The syntax tree of a condition. Values are bytes, since escapes can spell any byte but NUL. A tree is plain data: no
//! field is resolved and no value is checked here.

use std::sync::Arc;

/// Where something starts in its text: byte index from 0, line and column from 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pos {
    pub index: usize,
    pub line: usize,
    pub column: usize,
}

impl Default for Pos {
    fn default() -> Self {
        Pos { index: 0, line: 1, column: 1 }
    }
}

#[derive(Clone, PartialEq, Debug)]
pub enum Expr {
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    /// A bare identifier; `body` is there once macros are resolved.
    Macro {
        name: String,
        body: Option<Arc<Expr>>,
        pos: Pos,
    },
    Check(Box<Check>),
}

/// One comparison.
#[derive(Clone, PartialEq, Debug)]
pub struct Check {
    pub left: Operand,
    pub op: Op,
    pub modifier: Option<Modifier>,
    pub right: Right,
    pub pos: Pos,
}

/// A field or a transformer applied to something.
#[derive(Clone, PartialEq, Debug)]
pub enum Operand {
    Field { name: String, arg: Option<Vec<u8>>, pos: Pos },
    Call { function: Function, args: Vec<Arg>, selector: Option<Vec<u8>>, pos: Pos },
}

/// An argument of a transformer.
#[derive(Clone, PartialEq, Debug)]
pub enum Arg {
    Number(String),
    Text(Vec<u8>),
    List(Vec<Arg>),
    Operand(Operand),
}

/// The right-hand side of a comparison.
#[derive(Clone, PartialEq, Debug)]
pub enum Right {
    None,
    Value(Vec<u8>),
    List(Vec<Vec<u8>>),
    /// `val(field)` is a plain field here.
    Operand(Operand),
}

/// Defines an enum of words together with its table of spellings.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum $name { $($variant),* }

        impl $name {
            /// In the order in which the parser tries them.
            pub const ALL: &[$name] = &[$($name::$variant),*];

            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text),* }
            }

            #[allow(dead_code)] // not every word is looked up by its spelling
            pub fn parse(text: &str) -> Option<$name> {
                $name::ALL.iter().copied().find(|w| w.as_str() == text)
            }
        }
    };
}

words! {
    /// Comparison operators.
    Op {
        Exists = "exists",
        Le = "<=",
        Lt = "<",
        Ge = ">=",
        Gt = ">",
        EqEq = "==",
        Eq = "=",
        Ne = "!=",
        Glob = "glob",
        Iglob = "iglob",
        Contains = "contains",
        Icontains = "icontains",
        Bcontains = "bcontains",
        Startswith = "startswith",
        Bstartswith = "bstartswith",
        Endswith = "endswith",
        Regex = "regex",
        Intersects = "intersects",
        In = "in",
        Pmatch = "pmatch",
    }
}

words! {
    /// How many elements of a list have to satisfy the operator.
    Modifier {
        Oneof = "oneof",
        Anyof = "anyof",
        Allof = "allof",
    }
}

words! {
    /// Transformers.
    Function {
        Tolower = "tolower",
        Toupper = "toupper",
        B64 = "b64",
        Basename = "basename",
        Len = "len",
        Join = "join",
        Concat = "concat",
        Getopt = "getopt",
    }
}

impl Op {
    pub fn is_numeric(self) -> bool {
        matches!(self, Op::Le | Op::Lt | Op::Ge | Op::Gt)
    }

    pub fn is_list(self) -> bool {
        matches!(self, Op::Intersects | Op::In | Op::Pmatch)
    }

    /// Operators between a field and one text; a modifier may follow them.
    pub fn is_text(self) -> bool {
        !self.is_numeric() && !self.is_list() && self != Op::Exists
    }
}

impl Operand {
    /// Calls `visit` for every field in it.
    pub fn each_field(&self, visit: &mut dyn FnMut(&str, Option<&[u8]>)) {
        match self {
            Operand::Field { name, arg, .. } => visit(name, arg.as_deref()),
            Operand::Call { args, .. } => args.iter().for_each(|a| a.each_field(visit)),
        }
    }
}

impl Arg {
    fn each_field(&self, visit: &mut dyn FnMut(&str, Option<&[u8]>)) {
        match self {
            Arg::Operand(operand) => operand.each_field(visit),
            Arg::List(args) => args.iter().for_each(|a| a.each_field(visit)),
            Arg::Number(_) | Arg::Text(_) => {}
        }
    }
}

impl Expr {
    /// Calls `visit` for every check, those of resolved macros included.
    pub fn each_check<'e>(&'e self, visit: &mut dyn FnMut(&'e Check)) {
        match self {
            Expr::And(children) | Expr::Or(children) => children.iter().for_each(|c| c.each_check(visit)),
            Expr::Not(child) => child.each_check(visit),
            Expr::Macro { body, .. } => {
                if let Some(body) = body {
                    body.each_check(visit);
                }
            }
            Expr::Check(check) => visit(check),
        }
    }

    /// Calls `visit` for every bare identifier of this text, without looking into resolved macros.
    pub fn each_macro<'e>(&'e self, visit: &mut dyn FnMut(&'e str)) {
        match self {
            Expr::And(children) | Expr::Or(children) => children.iter().for_each(|c| c.each_macro(visit)),
            Expr::Not(child) => child.each_macro(visit),
            Expr::Macro { name, .. } => visit(name),
            Expr::Check(_) => {}
        }
    }
}
